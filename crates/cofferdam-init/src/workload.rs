//! From the forked child to the workload: its own Landlock layer, its filter, its streams, exec.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use cofferdam_plan::message::Report;
use cofferdam_plan::plan::{Plan, Step};
use cofferdam_sys::process::{
    SignalSet, close_on_exec_from, default_action, execve, exit_now, set_blocked,
};

use crate::control::Control;
use crate::steps::send_descriptor;
use crate::{Connected, Doing, Failed, confine};

/// `SIGPIPE` (`signal(7)`): Rust programs ignore it, others expect to die of it.
const SIGPIPE: i32 = 13;
/// The engine ignores it, so that a full log is an error and not its death; others die of it.
const SIGXFSZ: i32 = 25;
/// `ENOENT` and `EACCES`, as `execve(2)` gives them.
const ENOENT: i32 = 2;
const EACCES: i32 = 13;

/// Comes back only when something failed before the program could be tried.
pub(crate) fn become_workload(
    plan: &Plan,
    control: &Control,
    connected: Connected,
    broker: &OwnedFd,
) -> Result<(), Failed> {
    let Connected { stdio: [input, output, error], terminal, umask } = connected;
    match terminal {
        Some(terminal) => {
            terminal.join(plan.workload.streams)?;
            // What is typed before that is heard by nobody.
            control.send(&Report::Terminal).doing("report to the engine")?;
        }
        None => drop(rustix::process::setsid().doing("start a session")?),
    }
    let words = |words: Vec<Vec<u8>>| -> Result<Vec<CString>, Failed> {
        words
            .into_iter()
            .map(|word| CString::new(word).map_err(io::Error::other))
            .collect::<Result<_, _>>()
            .doing("pass a word with NUL")
    };
    let candidates = words(plan.workload.candidates())?;
    if candidates.is_empty() {
        return Err(Failed { doing: "run an empty command".into(), errno: 0 });
    }
    let arguments = words(plan.workload.command.iter().map(|word| word.0.clone()).collect())?;
    let environment = words(
        plan.workload
            .environment
            .iter()
            .map(|variable| format!("{}={}", variable.name, variable.value).into_bytes())
            .collect(),
    )?;
    for step in &plan.setup {
        if let Step::WorkloadLandlock { handled, scoped, rules } = step {
            confine::restrict(*handled, *scoped, rules)?;
        }
    }
    rustix::stdio::dup2_stdin(&input).doing("connect standard input")?;
    rustix::stdio::dup2_stdout(&output).doing("connect standard output")?;
    rustix::stdio::dup2_stderr(&error).doing("connect standard error")?;
    drop((input, output, error));
    close_on_exec_from(3).doing("close what is not the workload's")?;
    rustix::process::umask(umask);
    default_action(SIGPIPE).doing("restore SIGPIPE")?;
    default_action(SIGXFSZ).doing("restore SIGXFSZ")?;
    for step in &plan.setup {
        if let Step::Seccomp { program } = step {
            let listener = cofferdam_sys::seccomp::set_filter_listening(program)
                .doing("filter system calls")?;
            // From here on only calls that the filter lets through: nobody answers yet.
            send_descriptor(broker, listener.as_fd()).doing("hand calls to the broker")?;
            // Its threads come first: the workload could take all the room for processes.
            if rustix::io::read(broker, &mut [0]).doing("wait for the broker")? == 0 {
                return Err(Failed { doing: "wait for the broker".into(), errno: 0 });
            }
        }
    }
    // Only now: who is stopped or ended meanwhile would be so while it waits for the broker.
    set_blocked(&SignalSet::empty()).doing("unblock signals")?;
    // As execvp(3): the first that starts; a name that may not be executed is told above one
    // that is not there.
    let mut errno = ENOENT;
    for candidate in &candidates {
        let error = execve(candidate, &arguments, &environment).raw_os_error().unwrap_or(0);
        if error != ENOENT && (errno == ENOENT || error != EACCES) {
            errno = error;
        }
    }
    drop(control.send(&Report::NotStarted { errno }));
    exit_now(if errno == ENOENT { 127 } else { 126 })
}
