//! `cofferdam policy`: write, check and look at policies. Starts nothing and records nothing.

use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use cofferdam_policy::network::Network;
use cofferdam_policy::{Clause, Layer, in_line, origins, printable, show};
use serde_json::json;

use super::say::{Output, Say, to_stdout};
use super::{REFUSED, seatbelt};
use crate::control::{Reply, SessionError};
use crate::engine::{Engine, Resolved};
use crate::options::{Options, PolicyFrom};
use crate::project::{self, Existing};
use crate::refused::Refused;

/// The JSON Schema (2020-12) of the policy language, as it is published.
const SCHEMA: &str = include_str!("../../../../schema/policy.schema.json");

pub(super) const AFTER: &str = "Examples:
  cofferdam policy init                   write one to begin with
  cofferdam policy check                  does it hold here?
  cofferdam policy show                   every rule, and where it comes from
  cofferdam policy apply new.toml         have it hold in the session that runs";

const AFTER_SHOW: &str = "Examples:
  cofferdam policy show
  cofferdam policy show --json .cofferdam/policy.toml
  cofferdam policy show --seatbelt        the same as a profile for macOS
  cofferdam policy show --origin          whose each rule is

Exit status: 0, or 125 with what `run` would say.";

const AFTER_SCHEMA: &str = "Examples:
  cofferdam policy schema > policy.schema.json";

const AFTER_INIT: &str = "Examples:
  cofferdam policy init                   here; only names of files are looked at
  cofferdam policy init ~/src/app
  cofferdam trust                         then `run` reads it here

Until you trust it, and again when it changes, `run` does not read the file.";

const AFTER_CHECK: &str = "Examples:
  cofferdam policy check                  the user's policy, as `run` reads it
  cofferdam policy check .cofferdam/policy.toml

Nothing is started. Exit status: 0, or 125 with what `run` would say.";

const AFTER_APPLY: &str = "Examples:
  cofferdam policy apply new.toml         to the only session that runs
  cofferdam policy apply 3f9a new.toml    to the one whose name begins so
  cofferdam policy apply 3f9a new.toml --json

What is about hosts holds at once, requests on their way keep what let them through. All else needs
a new run: the answer says what, and nothing changes. Flags of the run still hold.

Exit status: 0, or 125.";

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Write a policy to begin with: .cofferdam/policy.toml
    #[command(after_help = AFTER_INIT)]
    Init {
        /// The project; the working directory by default
        dir: Option<PathBuf>,
        /// Put it in place of one that is there
        #[arg(long)]
        force: bool,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Read a policy as `run` would in this directory, and say whether it holds
    #[command(after_help = AFTER_CHECK)]
    Check {
        /// The policy; the user's by default
        file: Option<PathBuf>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Show every rule that holds in this directory, and where it comes from
    #[command(after_help = AFTER_SHOW)]
    Show {
        /// The policy; the user's by default
        file: Option<PathBuf>,
        /// Show the Seatbelt profile (macOS) that it makes, on any system
        #[arg(long)]
        seatbelt: bool,
        /// Say of each rule whose it is: layer, file and line
        #[arg(long, conflicts_with = "seatbelt")]
        origin: bool,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Have another policy hold in a session that runs, as far as it is about hosts
    #[command(after_help = AFTER_APPLY, allow_missing_positional = true)]
    Apply {
        /// Beginning of the session's name, 4 letters or more; the only one by default
        session: Option<String>,
        /// The policy
        file: PathBuf,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of the policy language, for editors
    #[command(after_help = AFTER_SCHEMA)]
    Schema,
}

pub(super) fn obey(command: &PolicyCommand) -> ExitCode {
    let (output, done) = match command {
        PolicyCommand::Init { dir, force, json } => {
            let existing = if *force { Existing::Replace } else { Existing::Keep };
            let folder = dir.as_deref().unwrap_or(Path::new("."));
            (output(*json), init(folder, existing, output(*json)))
        }
        PolicyCommand::Check { file, json } => {
            (output(*json), check(file.as_deref(), output(*json)))
        }
        PolicyCommand::Show { file, seatbelt: true, json, .. } => {
            (output(*json), seatbelt::show(file.as_deref(), output(*json)))
        }
        PolicyCommand::Show { file, origin: true, json, .. } => {
            (output(*json), origin(file.as_deref(), output(*json)))
        }
        PolicyCommand::Show { file, json, .. } => {
            (output(*json), show(file.as_deref(), output(*json)))
        }
        PolicyCommand::Apply { session, file, json } => {
            return apply(session.as_deref(), file, output(*json));
        }
        PolicyCommand::Schema => (Output::Text, to_stdout(SCHEMA.trim_end())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => {
            Say::new(output).refused(&refused);
            ExitCode::from(REFUSED)
        }
    }
}

fn apply(session: Option<&str>, file: &Path, output: Output) -> ExitCode {
    let say = Say::new(output);
    let refused = ExitCode::from(REFUSED);
    let done = match Engine::apply_policy(session, file, Say::drawn()) {
        Ok((running, Reply::Live { generation, rules })) => {
            let id = running.id.as_str();
            to_stdout(&if output == Output::Json {
                json!({"event": "policy-applied", "session": id, "generation": generation,
                       "network": rules})
                .to_string()
            } else {
                let id = id.get(..12).unwrap_or(id);
                let word = if rules == 1 { "rule" } else { "rules" };
                format!("session {id}: generation {generation} holds, {rules} {word} for hosts")
            })
        }
        Ok((running, Reply::Restart { because })) => {
            say.restart(&running.id, &because);
            return refused;
        }
        Ok((_, Reply::Refused(told))) => {
            say.told(&told);
            return refused;
        }
        Ok((
            _,
            Reply::Session(_)
            | Reply::Questions { .. }
            | Reply::Told { .. }
            | Reply::Answered { .. },
        )) => Err(SessionError::Build.into()),
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say.refused(&error);
            refused
        }
    }
}

const fn output(json: bool) -> Output {
    if json { Output::Json } else { Output::Text }
}

fn init(folder: &Path, existing: Existing, output: Output) -> Result<(), Refused> {
    let written = project::init(folder, existing)?;
    let path = written.path.display();
    if output == Output::Json {
        let presets: Vec<&str> = written.presets.iter().map(|(name, _)| *name).collect();
        let object = json!({"event": "policy-written", "file": path.to_string(),
                            "presets": presets, "trusted": false});
        return to_stdout(&object.to_string());
    }
    let presets: Vec<String> = written
        .presets
        .iter()
        .map(|(name, because)| match because {
            Some(file) => format!("{name} ({file})"),
            None => (*name).to_owned(),
        })
        .collect();
    let there = if folder == Path::new(".") {
        String::new()
    } else {
        format!("cd {} && ", folder.display())
    };
    to_stdout(&printable(&format!(
        "wrote {path}\npresets: {}\n`run` does not read it until it is trusted:\n  \
         {there}cofferdam trust\nor it is named:\n  \
         {there}cofferdam run --policy .cofferdam/policy.toml -- CMD",
        presets.join(", ")
    )))
}

/// What the policy means here.
pub(super) fn resolved(file: Option<&Path>, output: Output) -> Result<Resolved, Refused> {
    let policy = file.map_or(PolicyFrom::User, |path| PolicyFrom::File(path.to_owned()));
    let resolved = Engine::new()?.resolve(&Options { policy, ..Options::default() })?;
    Say::new(output).project(&resolved.project);
    Ok(resolved)
}

/// Every rule with whose it is.
fn origin(file: Option<&Path>, output: Output) -> Result<(), Refused> {
    let Resolved { policy, document, .. } = resolved(file, output)?;
    let rows = origins(&policy, &document);
    if output == Output::Json {
        let row = |(layer, clause): &(Layer, Clause)| {
            json!({"layer": layer.as_str(), "clause": clause.name, "file": clause.file,
                   "line": clause.line})
        };
        let rows: Vec<_> = rows.iter().map(row).collect();
        return to_stdout(&json!({"event": "policy-origin", "clauses": rows}).to_string());
    }
    let row = |(layer, clause): &(Layer, Clause)| {
        let place = match clause.line {
            0 => clause.file.clone(),
            line => format!("{}:{line}", clause.file),
        };
        let (name, place) = (in_line(&clause.name), in_line(place));
        format!("{:<12}  {name:<32}  {place}", layer.as_str())
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    to_stdout(&printable(&rows.join("\n")))
}

fn check(file: Option<&Path>, output: Output) -> Result<(), Refused> {
    // The program ends with the answer: ten thousand rules need not be given back one by one.
    let resolved = ManuallyDrop::new(resolved(file, output)?);
    let Resolved { policy, source, .. } = &*resolved;
    if output == Output::Json {
        let object = json!({
            "event": "policy-ok",
            "file": source,
            "workspace": policy.workspace.path,
            "mode": policy.workspace.mode,
            "presets": policy.presets.iter().map(|preset| &preset.name).collect::<Vec<_>>(),
            "grants": granted(policy),
            "left_out": policy.missing.len(),
            "network": policy.network.rules.allow.len(),
            "published": policy.network.publish.len(),
            "dangerous": policy.dangers.iter().map(|danger| &danger.what).collect::<Vec<_>>(),
        });
        return to_stdout(&object.to_string());
    }
    let presets: Vec<&str> = policy.presets.iter().map(|preset| preset.name.as_str()).collect();
    let dangerous = policy.dangers.iter().map(|danger| format!("\ndangerous: {}", danger.what));
    to_stdout(&printable(&format!(
        "{source}: ok\n{} is {}; {} more granted, {} left out; presets: {}; network: {}{}",
        policy.workspace.path.display(),
        policy.workspace.mode.as_str(),
        granted(policy),
        policy.missing.len(),
        if presets.is_empty() { "none".into() } else { presets.join(", ") },
        network(&policy.network),
        dangerous.collect::<String>(),
    )))
}

/// How far the network is open, in a few words.
fn network(network: &Network) -> String {
    if network.is_closed() {
        return "none".into();
    }
    let plural = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        more => Some(format!("{more} {what}s")),
    };
    let rules = plural(network.rules.allow.len(), "rule");
    let ports = plural(network.publish.len(), "published port");
    [rules, ports].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// How many trees somebody asked for, beside the workspace.
fn granted(policy: &cofferdam_policy::Policy) -> usize {
    use cofferdam_policy::Origin;
    let asked = |origin| matches!(origin, Origin::Granted | Origin::Preset);
    policy.grants.iter().filter(|grant| asked(grant.origin)).count()
}

fn show(file: Option<&Path>, output: Output) -> Result<(), Refused> {
    let Resolved { policy, source, .. } = resolved(file, output)?;
    if output == Output::Json {
        let object = serde_json::to_string(&policy);
        return to_stdout(&object.map_err(|error| Refused::Unanswered(error.into()))?);
    }
    let text = format!("policy      {source}\n{}", show::text(&policy));
    to_stdout(printable(&text).trim_end())
}
