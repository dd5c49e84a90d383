//! A program that runs commands in sandboxes of cofferdam and reads their outcomes.
//!
//! `cargo run --example embed` builds the programs beside it and runs three commands.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::path::Path;

use cofferdam::{Engine, Options, Outcome, PolicyFrom};

fn main() -> Result<(), Box<dyn Error>> {
    // `cofferdam-init` lies beside the example's directory; an installed program names its own.
    let example = std::env::current_exe()?;
    let programs = example.parent().and_then(Path::parent).ok_or("no directory")?;
    let engine = Engine::with_programs(programs)?;

    let own = std::env::temp_dir().join(format!("cofferdam-embed-{}", std::process::id()));
    let workspace = own.join("work");
    std::fs::create_dir_all(&workspace)?;
    let text = format!(
        "version = 1\n[filesystem]\nworkspace = {{ path = \"{}\", mode = \"read-write\" }}\n",
        std::fs::canonicalize(&workspace)?.display()
    );
    let options = |script: &str| Options {
        policy: PolicyFrom::Text { name: "embed.rs".into(), text: text.clone() },
        // A log of this program's own, outside of what the workload may write.
        audit: Some(own.join("audit.jsonl")),
        ..Options::command(["sh", "-c", script])
    };

    let ran = engine.run_collected(&options("echo from inside; echo kept > file"))?;
    println!("{:?}, wrote {:?}", ran.outcome, String::from_utf8_lossy(&ran.stdout));
    println!("in the workspace: {:?}", std::fs::read_to_string(workspace.join("file"))?);

    let ran = engine.run_collected(&options("cat /etc/shadow"))?;
    println!("{:?}, said {:?}", ran.outcome, String::from_utf8_lossy(&ran.stderr));
    if ran.outcome != Outcome::Exited(1) {
        return Err("a secret was read".into());
    }

    // A refusal is an error with a stable code and the next step; nothing was started.
    let wide = Options { workspace: Some("/".into()), ..options("true") };
    let refused = engine.run_collected(&wide).err().ok_or("the whole machine was granted")?;
    println!("refused: {}: {refused}; {}", refused.code(), refused.hint());
    println!("on record: {} records", cofferdam::audit::verify(&own.join("audit.jsonl"))?.records);
    std::fs::remove_dir_all(&own)?;
    Ok(())
}
