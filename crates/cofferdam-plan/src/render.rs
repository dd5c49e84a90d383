//! The plan as a person reads it.

use std::fmt::Write;

use cofferdam_policy::model::Policy;
use cofferdam_policy::{in_line, show};

use crate::coverage::Extent;
use crate::plan::Plan;

/// The plan in plain text: what is in the view, which variables pass, and who holds each clause.
#[must_use]
pub fn text(policy: &Policy, plan: &Plan) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    write_text(&mut out, policy, plan).unwrap_or(());
    out
}

fn write_text(out: &mut String, policy: &Policy, plan: &Plan) -> std::fmt::Result {
    let words: Vec<String> =
        plan.workload.command.iter().map(|word| String::from_utf8_lossy(&word.0).into()).collect();
    writeln!(out, "wall       {}", plan.wall)?;
    if !words.is_empty() {
        writeln!(out, "command    {}", words.join(" "))?;
    }
    writeln!(out, "starts in  {}", in_line(plan.workload.directory.display()))?;
    if !policy.presets.is_empty() {
        let names: Vec<&str> = policy.presets.iter().map(|preset| preset.name.as_str()).collect();
        writeln!(out, "presets    {}", names.join(", "))?;
    }
    show::dangers(out, policy)?;
    writeln!(out, "\nview")?;
    show::trees(out, policy)?;
    show::seeds(out, policy)?;
    match &policy.kept_home {
        None => {
            let home = policy.home.display();
            writeln!(out, "  private     fresh      {home}, /tmp, /var/tmp, /dev/shm")?;
        }
        Some(kept) => {
            let (home, source) = (policy.home.display(), in_line(kept.source.display()));
            writeln!(out, "  private     kept       {home}, from {source}")?;
            writeln!(out, "  private     fresh      /tmp, /var/tmp, /dev/shm")?;
        }
    }
    for name in &policy.concealed {
        writeln!(
            out,
            "  hidden      named      {}   {}",
            in_line(name.path.display()),
            name.clause
        )?;
    }
    writeln!(out, "\nenvironment")?;
    for variable in &policy.environment {
        writeln!(out, "  {}={}", variable.name, variable.shown_value())?;
    }
    writeln!(out, "  withheld: {} variables of the caller", policy.withheld.len())?;
    write_coverage(out, plan)?;
    writeln!(out, "\n{} steps; --json shows each", plan.setup.len())
}

fn write_coverage(out: &mut String, plan: &Plan) -> std::fmt::Result {
    writeln!(out, "\ncoverage")?;
    for row in &plan.coverage {
        let extent = match &row.extent {
            Extent::Enforced => "enforced",
            Extent::Partly { .. } => "partly",
        };
        writeln!(out, "  {extent:<8}  {}   {}", in_line(&row.says), row.clause)?;
        if !row.mechanisms.is_empty() {
            writeln!(out, "            by {}", in_line(row.mechanisms.join("; ")))?;
        }
        if let Extent::Partly { open } = &row.extent {
            writeln!(out, "            open: {}", in_line(open))?;
        }
    }
    Ok(())
}
