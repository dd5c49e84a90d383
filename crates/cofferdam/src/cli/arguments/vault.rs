//! `cofferdam vault`.

use clap::{Args, Subcommand};

pub(super) const AFTER: &str = "Examples:
  cofferdam vault set anthropic           asks for the value, and shows nothing of it
  cofferdam vault set anthropic < key.txt
  cofferdam vault list                    the names, never a value
  cofferdam vault test anthropic          can it be read?

No value is ever an argument: other processes read arguments.

A passphrase, where one opens the vault, is asked for at the terminal. Without one it is read from the
descriptor whose number is in COFFERDAM_VAULT_PASSPHRASE_FD.

Exit status: 0, or 125.";

const AFTER_SET: &str = "Examples:
  cofferdam vault set github              asks twice
  pass show github | cofferdam vault set github
  cofferdam vault set --keychain github   in the keychain of the system
  cofferdam vault set --passphrase github
  COFFERDAM_VAULT_PASSPHRASE_FD=3 cofferdam vault set github < value.txt 3< phrase.txt

One line end behind a piped value is cut. A name is 1 to 64 of a-z, 0-9, `.`, `_` and `-`.

Exit status: 0, or 125.";

const AFTER_LIST: &str = "Examples:
  cofferdam vault list
  cofferdam vault list --keychain
  cofferdam vault list --json | jq -r .secrets[].name

Exit status: 0, or 125.";

const AFTER_REMOVE: &str = "Examples:
  cofferdam vault remove github
  cofferdam vault remove --keychain github

The vault's previous version has it until the next change.

Exit status: 0, or 125.";

const AFTER_TEST: &str = "Examples:
  cofferdam vault test github
  cofferdam vault test --keychain github

Exit status: 0, or 125.";

const AFTER_ROTATE: &str = "Examples:
  cofferdam vault rotate github < new.txt
  cofferdam vault rotate --key            a new key for the vault
  cofferdam vault rotate --key --passphrase

Of a passphrase's descriptor (COFFERDAM_VAULT_PASSPHRASE_FD) the first line is the one that opens the
vault, and the last one the new one.

Exit status: 0, or 125.";

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum VaultCommand {
    /// Store a secret: from standard input, or asked for at the terminal
    #[command(after_help = AFTER_SET)]
    Set {
        #[command(flatten)]
        which: Which,
        /// Let a passphrase open the vault that this makes, in the place of a key beside it
        #[arg(long, conflicts_with = "keychain")]
        passphrase: bool,
    },
    /// List the names of the secrets that are kept
    #[command(after_help = AFTER_LIST)]
    List {
        /// Those in the keychain of the system
        #[arg(long)]
        keychain: bool,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a secret
    #[command(after_help = AFTER_REMOVE)]
    Remove(Which),
    /// Say whether a secret can be read, and how long it is
    #[command(after_help = AFTER_TEST)]
    Test(Which),
    /// Put a new value, or a new key of the vault, in the place of the old one
    #[command(after_help = AFTER_ROTATE)]
    Rotate {
        /// The name of the secret
        #[arg(required_unless_present = "key")]
        name: Option<String>,
        /// In the keychain of the system
        #[arg(long, conflicts_with = "key")]
        keychain: bool,
        /// Seal the vault and its previous version to a new key
        #[arg(long, conflicts_with = "name")]
        key: bool,
        /// Seal them to a new passphrase
        #[arg(long, requires = "key")]
        passphrase: bool,
    },
}

/// Which secret.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Which {
    /// The name of the secret
    pub(in crate::cli) name: String,
    /// In the keychain of the system, and not in the vault
    #[arg(long)]
    pub(in crate::cli) keychain: bool,
}
