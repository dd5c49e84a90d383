//! A Policy as a person reads it: every rule with the place it comes from.

use std::fmt::Write;

use crate::line::in_line;
use crate::model::{Origin, Policy};

/// The policy in plain text, one rule a line, each with its clause.
#[must_use]
pub fn text(policy: &Policy) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    write_text(&mut out, policy).unwrap_or(());
    out
}

fn write_text(out: &mut String, policy: &Policy) -> std::fmt::Result {
    writeln!(out, "isolation   process   {}", policy.isolation_clause)?;
    for preset in &policy.presets {
        writeln!(out, "preset      {}   {}", preset.name, preset.clause)?;
    }
    writeln!(out, "\nfilesystem")?;
    for grant in [&policy.workspace].into_iter().chain(&policy.grants) {
        let why = match grant.origin {
            Origin::Workspace => "workspace",
            Origin::Granted => "granted",
            Origin::System => "system",
            Origin::Toolchain => "toolchain",
            Origin::Preset => "preset",
            Origin::Repository => "git",
        };
        let (mode, path) = (grant.mode.as_str(), in_line(grant.path.display()));
        writeln!(out, "  {mode:<10}  {why:<9}  {path}   {}", grant.clause)?;
    }
    for gone in &policy.missing {
        let path = in_line(gone.path.display());
        writeln!(out, "  left out    optional   {path}, which {}   {}", gone.why, gone.clause)?;
    }
    for left in &policy.left_out {
        let (path, real) = (in_line(left.path.display()), in_line(left.real.display()));
        writeln!(out, "  left out    toolchain  {path}, which leads to {real}")?;
    }
    for kept in policy.guarded.iter().chain(&policy.own) {
        writeln!(
            out,
            "  protected   exists     {}   {}",
            in_line(kept.path.display()),
            kept.clause
        )?;
    }
    for name in &policy.concealed {
        writeln!(
            out,
            "  hidden      exists     {}   {}",
            in_line(name.path.display()),
            name.clause
        )?;
    }
    for path in &policy.unguarded {
        writeln!(out, "  protected   absent     {}", in_line(path.display()))?;
    }
    writeln!(out, "  private     home       {}   {}", policy.home.display(), policy.home_clause)?;
    for seed in &policy.seeds {
        writeln!(out, "  private     made       {}   {}", seed.path.display(), seed.clause)?;
    }
    writeln!(out, "\nenvironment")?;
    for variable in &policy.environment {
        let (name, value) = (&variable.name, variable.shown_value());
        writeln!(out, "  {name}={value}   {}", variable.clause)?;
    }
    writeln!(out, "  withheld: {} variables of the caller", policy.withheld.len())?;
    writeln!(out, "\nnetwork     none   {}", policy.network_clause)
}
