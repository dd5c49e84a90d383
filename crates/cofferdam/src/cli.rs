//! The command line: words in, one Engine call, words out.

mod arguments;
mod say;
mod signals;

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use cofferdam_sandbox::Sink;
use cofferdam_sandbox::scope::Scope;

use crate::engine::{Engine, Options, PolicyFrom, Prepared};
use crate::refused::Refused;
use arguments::{Arguments, AuditCommand, Command, What};
use say::Say;

/// Refusal, usage error or a failure of our own.
const REFUSED: u8 = 125;

/// The program `cofferdam`.
#[must_use]
pub fn main() -> ExitCode {
    signals::survive_long_files();
    // Init loads while the command line is read; what does not need it lets it go again.
    let engine = warm();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    match arguments.command {
        Command::Run(mut what) => {
            what.records = true;
            run(&what, engine)
        }
        Command::Plan(what) => plan(&what, engine),
        Command::Audit(AuditCommand::Verify { file, json }) => verify(file.as_deref(), json),
    }
}

/// Says what `--help` asks for, or what is wrong with the words.
fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        say::usage(error);
        return ExitCode::from(REFUSED);
    }
    match say::to_stdout(error.to_string().trim_end()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => {
            Say::new(say::Output::Text).refused(&refused);
            ExitCode::from(REFUSED)
        }
    }
}

fn options(what: &What) -> Result<Options, Refused> {
    if let Some(asked) = what.network.as_ref().filter(|asked| *asked != "none") {
        return Err(Refused::Network { asked: asked.clone() });
    }
    Ok(Options {
        command: what.command.clone(),
        policy: what.policy.clone().map_or(PolicyFrom::User, PolicyFrom::File),
        workspace: what.workspace.clone(),
        grants: what.grants.clone(),
        variables: what.variables.clone(),
        limits: what.limits.clone(),
        audit: what.audit.clone(),
    })
}

/// An engine with init started, for the two commands that build a sandbox.
fn warm() -> Option<Result<Engine, Refused>> {
    let builds = std::env::args_os().nth(1).is_some_and(|word| word == "run" || word == "plan");
    let engine = || {
        let engine = Engine::new()?;
        engine.warm()?;
        Ok(engine)
    };
    builds.then(engine)
}

fn prepare(
    what: &What,
    engine: Option<Result<Engine, Refused>>,
) -> Result<(Engine, Prepared), Refused> {
    let engine = engine.unwrap_or_else(Engine::new)?;
    let prepared = options(what).and_then(|options| engine.prepare(&options));
    match prepared {
        Ok(prepared) => Ok((engine, prepared)),
        Err(refused) => {
            let unheld =
                matches!(&refused, Refused::Host(cofferdam_plan::Refusal::LimitUnheld { .. }));
            let engine = match unheld.then(Scope::find).flatten() {
                None => engine,
                Some(scope) => {
                    // With its init, which would be a stranger's child.
                    drop(engine);
                    drop(scope.enter());
                    Engine::new()?
                }
            };
            if what.records {
                // The refusal itself is what the person must hear, on record or not.
                drop(engine.record_refusal(&refused, what.audit.as_deref()));
            }
            Err(refused)
        }
    }
}

fn run(what: &What, engine: Option<Result<Engine, Refused>>) -> ExitCode {
    let say = Say::new(what.output());
    let (engine, prepared) = match prepare(what, engine) {
        Ok(decided) => decided,
        Err(refused) => {
            say.refused(&refused);
            return ExitCode::from(REFUSED);
        }
    };
    let session = match engine.start(&prepared) {
        Ok(session) => session,
        Err(refused) => {
            say.refused(&refused);
            return ExitCode::from(REFUSED);
        }
    };
    let signals = signals::forwarded();
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let outcome = session.run(
        Some(stdin.as_fd()),
        Sink::Descriptor(stdout.as_fd()),
        Sink::Descriptor(stderr.as_fd()),
        signals.as_ref().map(AsFd::as_fd),
    );
    match outcome {
        Ok(outcome) => {
            say.ended(&outcome, &prepared);
            ExitCode::from(outcome.status())
        }
        Err(refused) => {
            say.refused(&refused);
            ExitCode::from(REFUSED)
        }
    }
}

fn plan(what: &What, engine: Option<Result<Engine, Refused>>) -> ExitCode {
    let say = Say::new(what.output());
    let planned = prepare(what, engine).and_then(|(engine, prepared)| {
        engine.rehearse(&prepared)?;
        say.plan(&prepared)
    });
    match planned {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => {
            say.refused(&refused);
            ExitCode::from(REFUSED)
        }
    }
}

fn verify(file: Option<&Path>, json: bool) -> ExitCode {
    let say = Say::new(if json { say::Output::Json } else { say::Output::Text });
    let path = file.map_or_else(Engine::default_audit_log, |path| Ok(path.to_owned()));
    match path.and_then(|path| say.verified(&path, &cofferdam_audit::verify(&path))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(refused) => {
            say.refused(&refused);
            ExitCode::from(REFUSED)
        }
    }
}
