//! `cargo xtask bench clauses`: what a policy of ten thousand clauses costs a person who asks about it, against one
//! of ten. Whole processes.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Figure, Scratch, build, installed, pairs_of, report, time};

/// Clauses on either side.
const MANY: usize = 10_000;
const FEW: usize = 10;

pub(crate) fn clauses(pairs: usize) -> Result<(), String> {
    build()?;
    let scratch = Scratch::new()?;
    let program = installed(&scratch)?.join("cofferdam");
    let work = scratch.0.join("work");
    fs::create_dir(&work).map_err(|error| format!("{}: {error}", work.display()))?;
    let mut figures = Vec::new();
    for (kind, rule) in [("names", name as fn(usize) -> String), ("rules of four kinds", mixed)] {
        let side = |count: usize| -> Result<Side<'_>, String> {
            let policy = scratch.0.join(format!("{count}.toml"));
            fs::write(&policy, text(count, rule)).map_err(|error| error.to_string())?;
            Ok(Side { program: &program, work: &work, policy, last: (count - FEW) / 4 * 4 })
        };
        let (many, few) = (side(MANY)?, side(FEW)?);
        for (command, asked) in [("policy check", check as fn(&Side<'_>) -> Command), ("why", why)]
        {
            let seconds = |side: &Side<'_>| Ok(time(&mut asked(side))?.as_secs_f64());
            let ratios = pairs_of(pairs, || seconds(&many), || seconds(&few))?;
            let figure = Figure {
                what: format!("`{command}` of a policy with 10,000 clauses ({kind}), against 10"),
                goal: "at most 10".into(),
                held: ratios.median() <= 10.0,
                found: ratios.text("ms", 1e3),
            };
            println!("{}: {}", figure.what, figure.found);
            figures.push(figure);
        }
    }
    report(&figures, pairs);
    Ok(())
}

/// A policy and who asks about it.
struct Side<'b> {
    program: &'b Path,
    work: &'b Path,
    policy: PathBuf,
    /// The place of a rule for one name, among the last: each fourth is one.
    last: usize,
}

fn check(side: &Side<'_>) -> Command {
    let mut command = Command::new(side.program);
    command.current_dir(side.work).args(["policy", "check"]).arg(&side.policy);
    command
}

fn why(side: &Side<'_>) -> Command {
    let mut command = Command::new(side.program);
    command.current_dir(side.work).args(["why", "--policy"]).arg(&side.policy);
    command.args(["--", "connect"]).arg(format!("h{}.test", side.last));
    command
}

fn text(count: usize, rule: fn(usize) -> String) -> String {
    let mut text = String::from("version = 1\n[network]\nallow = [\n");
    for at in 0..count {
        // Nothing fails that writes to a String.
        writeln!(text, "  {},", rule(at)).unwrap_or(());
    }
    text + "]\n"
}

fn name(at: usize) -> String {
    format!("{{ host = \"h{at}.test\" }}")
}

/// Names, wildcards, blocks and names below the wildcards; half of them ask something of requests.
fn mixed(at: usize) -> String {
    match at % 4 {
        0 => format!("{{ host = \"h{at}.test\", methods = [\"GET\"] }}"),
        1 => format!("{{ host = \"*.w{at}.test\" }}"),
        2 => format!("{{ host = \"10.{}.{}.0/24\" }}", at >> 8, at & 0xff),
        _ => format!("{{ host = \"a.w{}.test\", paths = [\"/v1/*\"] }}", at - 2),
    }
}
