//! What helps a person to use the program: completions, manual pages, versions.

use clap::ValueEnum;

pub(super) const AFTER_COMPLETIONS: &str = "Examples:
  source <(cofferdam completions bash)            for this shell
  cofferdam completions bash > ~/.local/share/bash-completion/completions/cofferdam
  cofferdam completions zsh > ~/.zfunc/_cofferdam
  cofferdam completions fish > ~/.config/fish/completions/cofferdam.fish";

pub(super) const AFTER_MAN: &str = "Examples:
  cofferdam man | man -l -
  cofferdam man ~/.local/share/man/man1           cofferdam.1, cofferdam-run.1, ...";

pub(super) const AFTER_VERSION: &str = "Examples:
  cofferdam version                       what a bug report needs: no names, no paths of yours
  cofferdam version --json

The same is printed by --version; -V prints the first line alone.";

/// Shells that completions are made for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum Shell {
    Bash,
    Zsh,
    Fish,
}
