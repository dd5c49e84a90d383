//! Completions and manual pages, made from what the command line takes.

use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::{Shell as Target, generate};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::arguments::{Arguments, Shell};
use crate::refused::Refused;

/// The script that a shell reads.
pub(super) fn completions(shell: Shell) -> String {
    let target = match shell {
        Shell::Bash => Target::Bash,
        Shell::Zsh => Target::Zsh,
        Shell::Fish => Target::Fish,
    };
    let mut script = Vec::new();
    generate(target, &mut Arguments::command(), "cofferdam", &mut script);
    String::from_utf8_lossy(&script).trim_end().to_owned()
}

/// The page of the program itself.
pub(super) fn page() -> Result<String, Refused> {
    let page = rendered(&Arguments::command()).map_err(Refused::Unanswered)?;
    Ok(String::from_utf8_lossy(&page).trim_end().to_owned())
}

/// Writes the pages of the program and of all its commands.
pub(super) fn write(directory: &Path) -> Result<(), Refused> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Refused::Pages { path, source }
    };
    std::fs::create_dir_all(directory).map_err(failed(directory))?;
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let mut next = vec![command];
    while let Some(command) = next.pop() {
        let path = directory.join(Man::new(command.clone()).get_filename());
        let page = rendered(&command).map_err(failed(&path))?;
        std::fs::write(&path, page).map_err(failed(&path))?;
        next.extend(command.get_subcommands().cloned());
    }
    Ok(())
}

/// One page. What follows a command's help becomes sections: lines of examples stay lines.
fn rendered(command: &Command) -> io::Result<Vec<u8>> {
    let mut command = command.clone().disable_help_subcommand(true);
    let man = Man::new(command.clone());
    // Without a date: a page is made when it is asked for, and says the same every time.
    let name = man.get_filename().replace(".1", "");
    let source = concat!("cofferdam ", env!("CARGO_PKG_VERSION"));
    let mut page =
        format!(".TH \"{name}\" \"1\" \"\" \"{source}\" \"User Commands\"\n").into_bytes();
    man.render_name_section(&mut page)?;
    let usage = command.render_usage().to_string();
    let mut synopsis = Roff::new();
    synopsis.control("SH", ["SYNOPSIS"]).text([roman(usage.trim_start_matches("Usage: "))]);
    synopsis.to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    for part in after.split("\n\n") {
        section(part).to_writer(&mut page)?;
    }
    Ok(page)
}

fn section(part: &str) -> Roff {
    let mut roff = Roff::new();
    if let Some(examples) = part.strip_prefix("Examples:\n") {
        roff.control("SH", ["EXAMPLES"]).control("nf", []);
        for line in examples.lines() {
            roff.text([roman(line.trim_start())]);
        }
        roff.control("fi", []);
    } else if let Some(status) = part.strip_prefix("Exit status: ") {
        roff.control("SH", ["EXIT STATUS"]).text([roman(status.replace('\n', " "))]);
    } else if !part.is_empty() {
        roff.control("SH", ["NOTES"]).text([roman(part.replace('\n', " "))]);
    }
    roff
}
