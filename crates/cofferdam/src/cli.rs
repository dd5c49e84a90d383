//! The command line: words in, one Engine call, words out.

mod approve;
mod arguments;
mod credentials;
mod doctor;
mod home;
mod kept;
mod names;
mod pages;
mod policy;
mod say;
mod seatbelt;
mod sessions;
mod show;
mod signals;
mod trust;
mod vault;
mod version;
mod why;

use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::ExitCode;

use cofferdam_sandbox::scope::Scope;
use cofferdam_sandbox::{Sink, terminal};
use rustix::fs::{FileType, fstat, major, minor};

use crate::engine::{Engine, Finished, Prepared};
use crate::options::{Approval, NetworkFrom, Options, PolicyFrom, ProjectFrom};
use crate::refused::Refused;
use crate::shell::Input;
use crate::trace::Trace;
use arguments::{Arguments, AuditCommand, Command, Inside, Program, What, builds};
use say::Say;

/// Refusal, usage error or a failure of our own.
const REFUSED: u8 = 125;

/// The program `cofferdam`.
#[must_use]
pub fn main() -> ExitCode {
    signals::survive_long_files();
    // Init loads while the command line is read; what does not need it lets it go again.
    let trace = Trace::asked_by(std::env::args_os().skip(1));
    let engine = warm(&trace);
    let command = match Arguments::read() {
        Ok(command) => command,
        Err(error) => return usage(&error),
    };
    let status = obey(command, engine);
    say::trace(&trace);
    status
}

fn obey(command: Command, engine: Option<Result<Engine, Refused>>) -> ExitCode {
    match command {
        Command::Inside(Inside::Run(mut what)) => {
            what.records = true;
            run(&what, engine)
        }
        Command::Inside(Inside::Shell(mut what)) => {
            (what.program, what.records) = (Program::Shell, true);
            run(&what, engine)
        }
        Command::Inside(Inside::Plan(what)) => plan(&what, engine),
        Command::Audit(AuditCommand::Show(what)) => show::show(&what),
        Command::Home(command) => home::obey(&command),
        Command::Vault(command) => vault::obey(&command),
        Command::Sessions { json } => sessions::list(json),
        Command::Approve(what) => approve::obey(&what),
        Command::Credentials(what) => credentials::obey(&what),
        Command::Audit(AuditCommand::Verify { file, json }) => verify(file.as_deref(), json),
        Command::Policy(command) => policy::obey(&command),
        Command::Trust(what) => trust::obey(&what),
        Command::Why(what) => why::obey(&what),
        Command::Doctor(what) => doctor::doctor(&what),
        Command::Completions { shell } => answered(say::to_stdout(&pages::completions(shell))),
        Command::Man { directory: None } => {
            answered(pages::page().and_then(|page| say::to_stdout(&page)))
        }
        Command::Man { directory: Some(directory) } => answered(pages::write(&directory)),
        Command::Version { json } => answered(say::to_stdout(&version::facts(json))),
    }
}

/// The status of a command that only answers.
fn answered(result: Result<(), Refused>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => {
            Say::new(say::Output::Text).refused(&refused);
            ExitCode::from(REFUSED)
        }
    }
}

/// Says what `--help` asks for, or what is wrong with the words.
fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        say::usage(error);
        return ExitCode::from(REFUSED);
    }
    // `-V` is answered by its line alone.
    let all = error.kind() == clap::error::ErrorKind::DisplayVersion
        && std::env::args_os().any(|word| word == "--version");
    let text = if all { version::facts(false) } else { error.to_string() };
    answered(say::to_stdout(text.trim_end()))
}

fn options(what: &What) -> Result<Options, Refused> {
    let network = match what.network.as_deref() {
        None => NetworkFrom::Policy,
        Some("none") => NetworkFrom::None,
        Some(asked) => return Err(Refused::Network { asked: asked.to_owned() }),
    };
    Ok(Options {
        command: what.command.clone(),
        policy: what.policy.clone().map_or(PolicyFrom::User, PolicyFrom::File),
        project: if what.around.no_project { ProjectFrom::None } else { ProjectFrom::Trusted },
        isolation: what.isolation.clone(),
        oversight: what.oversight.clone(),
        runsc: what.runsc.clone(),
        jail: what.jail.clone(),
        rootfs: what.rootfs.clone(),
        best_effort: what.best_effort.clone(),
        workspace: what.workspace.clone(),
        grants: what.grants.clone(),
        hide: what.hide.clone(),
        protect: what.protect.clone(),
        variables: what.variables.clone(),
        dangerous_variables: what.dangerous_variables.clone(),
        presets: what.presets.clone(),
        limits: what.limits.clone(),
        network,
        allow: what.allow.clone(),
        publish: what.publish.clone(),
        approve: approval(what),
        output: what.shown.clone(),
        audit: what.audit.clone(),
        streams: terminal::streams(io::stdin().as_fd(), io::stdout().as_fd(), io::stderr().as_fd()),
    })
}

/// Where a person is asked. On this terminal only where nothing of the workload gets there: it would
/// write a question of its own above ours.
fn approval(what: &What) -> Approval {
    if !what.asking.approve {
        return Approval::Off;
    }
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let streams = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    if streams.into_iter().all(stays) { Approval::Terminal } else { Approval::Socket }
}

/// Whether what is written to `fd` stays there: a file, or `/dev/null`. A pipe or a socket may lead to a
/// terminal (`| tee log`), and nobody sees where.
fn stays(fd: BorrowedFd<'_>) -> bool {
    /// `null(4)`.
    const NULL: (u32, u32) = (1, 3);
    let null = |device| (major(device), minor(device)) == NULL;
    fstat(fd).is_ok_and(|seen| match FileType::from_raw_mode(seen.st_mode) {
        FileType::RegularFile => true,
        FileType::CharacterDevice => null(seen.st_rdev),
        FileType::Directory
        | FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::BlockDevice
        | FileType::Unknown => false,
    })
}

/// An engine with init started, for the commands that build a sandbox.
fn warm(trace: &Trace) -> Option<Result<Engine, Refused>> {
    let engine = || {
        let engine = Engine::new()?.traced(trace.clone());
        engine.warm();
        Ok(engine)
    };
    builds().then(engine)
}

fn prepare(
    what: &What,
    engine: Option<Result<Engine, Refused>>,
) -> Result<(Engine, Prepared), Refused> {
    let engine = engine.unwrap_or_else(Engine::new)?;
    let prepared = options(what).and_then(|options| match what.program {
        Program::Named => engine.prepare(&options),
        Program::Shell if io::stdin().is_terminal() => {
            engine.prepare_shell(&options, Input::Terminal)
        }
        Program::Shell => engine.prepare_shell(&options, Input::Other),
    });
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
    let prepared = match vault::unlocked(prepared) {
        Ok(prepared) => prepared,
        Err(refused) => {
            say.refused(&refused);
            return ExitCode::from(REFUSED);
        }
    };
    say.project(&prepared.project);
    let session = match engine.start(&prepared) {
        Ok(session) => session,
        Err(refused) => {
            say.refused(&refused);
            return ExitCode::from(REFUSED);
        }
    };
    if let Some(name) = session.asks() {
        say.asks(name);
    }
    let signals = signals::forwarded();
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    if prepared.plan.workload.streams.has_terminal()
        && let Ok(copy) = stdin.as_fd().try_clone_to_owned()
    {
        terminal::restore_on_panic(copy);
    }
    let outcome = session.run(
        Some(stdin.as_fd()),
        Sink::Descriptor(stdout.as_fd()),
        Sink::Descriptor(stderr.as_fd()),
        signals.as_ref().map(AsFd::as_fd),
    );
    drop(signals);
    match outcome {
        Ok(Finished { outcome, turned_away, denied_names, way_out, output }) => {
            say.alarms(&output.alarms);
            say.turned_away(&turned_away);
            say.denied_names(&denied_names);
            say.way_out(way_out);
            say.kept(&output, &prepared.policy.output);
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
        say.project(&prepared.project);
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use rustix::pty::{OpenptFlags, openpt};

    use super::*;

    #[test]
    fn where_a_stream_leads() {
        let opened = |path: &str| OwnedFd::from(File::open(path).unwrap());
        let (reads, writes) = std::io::pipe().unwrap();
        let (one, other) = UnixStream::pair().unwrap();
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        for (fd, want, why) in [
            (opened("/proc/self/exe"), true, "a file"),
            (opened("/dev/null"), true, "nowhere"),
            (writes.into(), false, "a pipe: `| tee log` writes to the terminal"),
            (reads.into(), false, "its other end"),
            (one.into(), false, "a socket"),
            (other.into(), false, "its other end"),
            (terminal, false, "a terminal"),
            (opened("/dev/zero"), false, "another device"),
            (opened("/"), false, "a directory"),
        ] {
            assert_eq!(stays(fd.as_fd()), want, "{why}");
        }
    }
}
