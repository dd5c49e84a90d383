//! `cofferdam shell`: which shell runs, and how it shows that one is inside.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cofferdam_policy::{Act, Request, Verdict, decide};
use cofferdam_sandbox::facts::rootfs::is_program;

use crate::engine::{Engine, Prepared};
use crate::options::Options;
use crate::refused::Refused;

/// What the shell reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A person's terminal: without words of its own the shell is interactive.
    Terminal,
    /// A file or a pipe.
    Other,
}

/// Where bash is, on systems with `/bin` in `/usr` and on others.
const BASH: [&str; 2] = ["/usr/bin/bash", "/bin/bash"];

/// The mark stays whatever the start files of the system or of a kept home say: bash runs
/// `PROMPT_COMMAND` before each prompt (`bash(1)`), and what it starts inherits it.
const BASH_PROMPT: [(&str, &str); 2] = [
    ("PS1", "(cofferdam) \\w\\$ "),
    ("PROMPT_COMMAND", "case $PS1 in \"(cofferdam) \"*) ;; *) PS1=\"(cofferdam) $PS1\" ;; esac"),
];

/// `sh(1)` of POSIX expands parameters in a prompt, and nothing else.
const SH_PROMPT: [(&str, &str); 1] = [("PS1", "(cofferdam) $PWD $ ")];

impl Engine {
    /// Like [`Engine::prepare`], for a shell that gets the words of `options.command`: bash where
    /// the workload may run it, else `/bin/sh`.
    ///
    /// # Errors
    /// Those of [`Engine::prepare`].
    pub fn prepare_shell(&self, options: &Options, input: Input) -> Result<Prepared, Refused> {
        let interactive = input == Input::Terminal && options.command.is_empty();
        let with = |shell: &str| {
            let interactive = interactive.then(|| OsString::from("-i"));
            let words = interactive.into_iter().chain(options.command.iter().cloned());
            let command = [OsString::from(shell)].into_iter().chain(words).collect();
            Options { command, ..options.clone() }
        };
        for shell in BASH {
            let on_host = program(shell);
            let prepared = self.prepare_with(&with(shell), &BASH_PROMPT)?;
            let real = match &prepared.facts.rootfs {
                Some(rootfs) => is_program(&rootfs.root, Path::new(shell)).then(|| shell.into()),
                None => on_host,
            };
            if real.is_some_and(|real: PathBuf| runs(&prepared, &real)) {
                return Ok(prepared);
            }
        }
        self.prepare_with(&with("/bin/sh"), &SH_PROMPT)
    }
}

/// The file behind a name, by its real path, where it can be executed.
fn program(name: &str) -> Option<PathBuf> {
    let real = std::fs::canonicalize(name).ok()?;
    let seen = std::fs::metadata(&real).ok()?;
    (seen.is_file() && seen.mode() & 0o111 != 0).then_some(real)
}

/// What the judge says of it.
fn runs(prepared: &Prepared, path: &Path) -> bool {
    let request = Request { act: Act::Execute, path };
    matches!(decide(&prepared.plan.rules, request), Verdict::Allow(_))
}
