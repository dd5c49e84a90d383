//! Where the policy says that a secret is, and the secret that is there.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use cofferdam_policy::credentials::{Credential, Source};
use rustix::fs::{CWD, fstat};
use zeroize::Zeroizing;

use super::command;
use super::error::VaultError;
use super::folder::{open_once, system, whole};
use super::keychain;
use super::members::{plain_of, string_of};
use super::secret::{Secret, without_line_end};
use super::{Name, Opened, Vault};

/// Longest file and longest output. Bytes. They may hold more than the secret (`member`).
const SOURCE_BYTES_MAX: usize = 1 << 20;
/// How long a program may take.
const COMMAND_WITHIN: Duration = Duration::from_secs(10);
/// The variables that a source's program gets beside `PATH`: what it needs to find the person's files and
/// the session's bus.
pub const SURROUNDINGS: &[&str] =
    &["HOME", "USER", "LANG", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];

/// All that secrets are read from. To be used before a process confines itself: afterwards it opens no
/// file and starts no program.
pub struct Sources<'a> {
    vault: Vault,
    passphrase: Option<&'a Secret>,
    variables: &'a dyn Fn(&str) -> Option<Secret>,
    surroundings: Vec<(OsString, OsString)>,
    /// The vault is opened once: a passphrase takes half a second.
    opened: OnceCell<Opened>,
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Sources").field("vault", &self.vault).finish_non_exhaustive()
    }
}

/// Bytes that are a secret or hold one.
enum Raw {
    Secret(Secret),
    Bytes(Zeroizing<Vec<u8>>),
}

impl<'a> Sources<'a> {
    /// The vault, with the passphrase that opens it where it needs one; the caller's `variables`; and the
    /// caller's `surroundings`, of which [`SURROUNDINGS`] alone are passed on.
    #[must_use]
    pub fn new(
        vault: Vault,
        passphrase: Option<&'a Secret>,
        variables: &'a dyn Fn(&str) -> Option<Secret>,
        surroundings: Vec<(OsString, OsString)>,
    ) -> Self {
        let passed = |row: &(OsString, OsString)| SURROUNDINGS.iter().any(|name| row.0 == *name);
        let surroundings = surroundings.into_iter().filter(passed).collect();
        Self { vault, passphrase, variables, surroundings, opened: OnceCell::new() }
    }

    /// The secret at `source`; of a source that is JSON the string at the end of the way `member`.
    ///
    /// A file's and a program's line end is cut once. A file is opened once, is a regular one through no
    /// link at its end, is this user's or root's, and others may not write it.
    ///
    /// # Errors
    /// It is not there, cannot be read, or is no secret.
    pub fn read(&self, source: &Source, member: &[String]) -> Result<Secret, VaultError> {
        let raw = self.raw(source)?;
        match (raw, member) {
            (Raw::Secret(secret), []) => Ok(secret),
            (Raw::Bytes(bytes), []) => Ok(Secret::of(without_line_end(&bytes))?),
            (Raw::Secret(secret), member) => in_json(secret.expose(), member),
            (Raw::Bytes(bytes), member) => in_json(without_line_end(&bytes), member),
        }
    }

    /// What of a source is no secret, each by its name.
    pub(crate) fn plain(&self, of: &Credential) -> Result<Vec<(String, String)>, VaultError> {
        if of.open.is_empty() {
            return Ok(Vec::new());
        }
        let raw = self.raw(&of.source)?;
        let bytes = match &raw {
            Raw::Secret(secret) => secret.expose(),
            Raw::Bytes(bytes) => bytes,
        };
        let one = |(name, member): &(String, Vec<String>)| {
            let text = plain_of(bytes, member)
                .map_err(|fault| VaultError::Member { member: member.join("."), fault })?;
            Ok((name.clone(), text))
        };
        of.open.iter().map(one).collect()
    }

    fn raw(&self, source: &Source) -> Result<Raw, VaultError> {
        Ok(match source {
            Source::Vault(name) => Raw::Secret(self.opened()?.secret(&Name::parse(name)?)?.copy()),
            Source::Keychain(name) => {
                Raw::Secret(keychain::asked(&Name::parse(name)?, &self.surroundings)?)
            }
            Source::Env(name) => Raw::Secret(
                (self.variables)(name)
                    .ok_or_else(|| VaultError::NoVariable { name: name.clone() })?,
            ),
            Source::OAuth => return Err(VaultError::Unkept),
            Source::File(path) => Raw::Bytes(file(path)?),
            Source::Command(words) => {
                let bounds = (SOURCE_BYTES_MAX, COMMAND_WITHIN);
                Raw::Bytes(command::said(words, &self.surroundings, bounds)?)
            }
        })
    }

    fn opened(&self) -> Result<&Opened, VaultError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = self.vault.open(self.passphrase)?;
        Ok(self.opened.get_or_init(|| opened))
    }
}

fn in_json(bytes: &[u8], member: &[String]) -> Result<Secret, VaultError> {
    let secret = string_of(bytes, member)
        .map_err(|fault| VaultError::Member { member: member.join("."), fault })?;
    Ok(secret?)
}

fn file(path: &Path) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let absent = || system("open", path)(std::io::ErrorKind::NotFound.into());
    if !path.is_absolute() {
        return Err(absent());
    }
    let fd = open_once(CWD, path, path)?.ok_or_else(absent)?;
    let seen = fstat(&fd).map_err(|error| system("look at", path)(error.into()))?;
    let (owner, mode) = (seen.st_uid, seen.st_mode & 0o7777);
    let own = [0, rustix::process::geteuid().as_raw()].contains(&owner);
    if !own || mode & 0o022 != 0 {
        return Err(VaultError::TooOpen { path: path.to_owned(), owner, mode, take: "go-w" });
    }
    whole(&fd, path, SOURCE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::PathBuf;

    use super::super::tests::{Place, name, secret};
    use super::*;

    const SEARCHED: &str = "/usr/bin:/bin";

    fn read(place: &Place, source: &Source, member: &[&str]) -> Result<String, &'static str> {
        let variables = |name: &str| {
            (name == "TOKEN")
                .then(|| secret("from-env"))
                .or_else(|| (name == "JSON").then(|| secret(r#"{"a":{"b":"inner"}}"#)))
        };
        let around = [("HOME", "/nowhere"), ("LANG", "C"), ("OTHER", "not-passed")];
        let around = around.map(|(name, value)| (name.into(), value.into()));
        let sources = Sources::new(place.vault(), None, &variables, around.into());
        let member: Vec<String> = member.iter().map(|&name| name.to_owned()).collect();
        let secret = sources.read(source, &member).map_err(|error| {
            assert!(error.to_string().contains("; "), "a next step: {error}");
            error.code()
        })?;
        Ok(String::from_utf8(secret.expose().to_vec()).unwrap())
    }

    fn file(place: &Place, name: &str, mode: u32, text: &[u8]) -> Source {
        let path = place.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Source::File(path)
    }

    fn words(words: &[&str]) -> Source {
        Source::Command(words.iter().map(|&word| word.to_owned()).collect())
    }

    fn shell(script: &str) -> Source {
        words(&["/bin/sh", "-c", script])
    }

    #[test]
    fn the_vault_and_variables() {
        let place = Place::new();
        let vault = |name: &str| Source::Vault(name.into());
        assert_eq!(read(&place, &vault("a"), &[]), Err("vault-missing"));
        place.vault().set(&name("a"), &secret("from-vault"), None).unwrap();
        place.vault().set(&name("json"), &secret("{\"t\":\"inner\"}"), None).unwrap();
        let env = |name: &str| Source::Env(name.into());
        for (source, member, want, why) in [
            (vault("a"), &[][..], Ok("from-vault"), "a secret of the vault"),
            (vault("json"), &["t"], Ok("inner"), "a member of one"),
            (vault("a"), &["t"], Err("secret-member"), "one that is no JSON"),
            (vault("b"), &[], Err("secret-unknown"), "another name"),
            (vault("B"), &[], Err("secret-name"), "no name"),
            (env("TOKEN"), &[], Ok("from-env"), "a variable"),
            (env("JSON"), &["a", "b"], Ok("inner"), "a member of one"),
            (env("OTHER"), &[], Err("secret-no-variable"), "another variable"),
        ] {
            assert_eq!(read(&place, &source, member), want.map(str::to_owned), "{why}");
        }
    }

    #[test]
    fn files_are_opened_once_and_are_this_users() {
        let place = Place::new();
        let long = vec![b' '; SOURCE_BYTES_MAX - 9];
        let most = [&br#"{"a":"x"}"#[..], &long].concat();
        let linked = place.0.join("linked");
        symlink(place.0.join("good"), &linked).unwrap();
        let folder = place.0.join("folder");
        fs::create_dir(&folder).unwrap();
        let through = place.0.join("through");
        symlink(&place.0, &through).unwrap();
        let fifo = place.0.join("fifo");
        rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for (source, member, want, why) in [
            (file(&place, "good", 0o600, b"tok\n"), &[][..], Ok("tok"), "without the line end"),
            (file(&place, "seen", 0o644, b"tok\r\n"), &[], Ok("tok"), "others may read it"),
            (file(&place, "two", 0o600, b"tok\n\n"), &[], Ok("tok\n"), "one line end is cut"),
            (file(&place, "json", 0o600, b"{\"a\":\"x\"}\r\n"), &["a"], Ok("x"), "JSON"),
            (file(&place, "most", 0o600, &most), &["a"], Ok("x"), "1 MiB"),
            (Source::File(through.join("good")), &[], Ok("tok"), "a link on the way"),
            (
                file(&place, "more", 0o600, &[&most[..], b" "].concat()),
                &["a"],
                Err("secret-source-long"),
                "a byte more",
            ),
            (file(&place, "empty", 0o600, b"\n"), &[], Err("secret-empty"), "a line end alone"),
            (file(&place, "nul", 0o600, b"a\0b"), &[], Err("secret-control"), "NUL"),
            (file(&place, "group", 0o660, b"tok"), &[], Err("secret-shared"), "a group writes"),
            (file(&place, "all", 0o602, b"tok"), &[], Err("secret-shared"), "all write"),
            (Source::File(linked), &[], Err("secret-no-file"), "a link"),
            (Source::File(folder), &[], Err("secret-no-file"), "a directory"),
            (Source::File(fifo), &[], Err("secret-no-file"), "a FIFO, and nobody waits"),
            (Source::File("/dev/null".into()), &[], Err("secret-no-file"), "a device"),
            (Source::File(place.0.join("none")), &[], Err("vault-system"), "none"),
            (Source::File(PathBuf::from("good")), &[], Err("vault-system"), "no absolute path"),
        ] {
            assert_eq!(read(&place, &source, member), want.map(str::to_owned), "{why}");
        }
    }

    #[test]
    fn programs_say_secrets() {
        let place = Place::new();
        let dir = place.0.display();
        let path = format!("HOME=/nowhere\nLANG=C\nPATH={SEARCHED}");
        for (source, member, want, why) in [
            (words(&["/bin/echo", "tok"]), &[][..], Ok("tok"), "without the line end"),
            (words(&["/bin/echo", "$HOME;", "a  b"]), &[], Ok("$HOME; a  b"), "no shell"),
            (shell("printf 'a\\nb\\n\\n'"), &[], Ok("a\nb\n"), "one line end is cut"),
            (shell("echo '{\"a\":\"x\"}'"), &["a"], Ok("x"), "JSON"),
            (shell("cat; echo end"), &[], Ok("end"), "nothing to read"),
            (shell("echo noise >&2; echo tok"), &[], Ok("tok"), "standard error is not heard"),
            (shell("pwd"), &[], Ok("/"), "in no directory of anybody's"),
            (
                shell("exec env | grep -v ^PWD= | grep -v ^_= | grep -v ^SHLVL= | sort"),
                &[],
                Ok(&path),
                "its variables",
            ),
            (shell("echo tok; exit 3"), &[], Err("secret-command"), "another status"),
            (shell("echo tok; kill -9 $$"), &[], Err("secret-command"), "a signal"),
            (words(&["/bin/true"]), &[], Err("secret-empty"), "nothing"),
            (words(&["echo", "tok"]), &[], Err("secret-command"), "no absolute path"),
            (words(&["/nowhere/echo"]), &[], Err("secret-command"), "no program"),
            (words(&[]), &[], Err("secret-command"), "no words"),
            (shell("exec yes"), &[], Err("secret-source-long"), "no end"),
        ] {
            assert_eq!(read(&place, &source, member), want.map(str::to_owned), "{why}");
        }
        assert_eq!(read(&place, &shell(&format!("touch {dir}/ran")), &[]), Err("secret-empty"));
        assert!(place.0.join("ran").exists());
    }

    /// Who does not come to an end is ended, with all that it started.
    #[test]
    fn a_program_has_its_time() {
        let place = Place::new();
        let fifo = place.0.join("alive");
        rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let path = fifo.display();
        for script in [
            // A child of its own holds the FIFO open, and standard output.
            format!("sleep 1000 >{path} & exec sleep 1000"),
            // Standard output is closed, and still it does not end.
            format!("exec sleep 1000 >{path}"),
        ] {
            let words = ["/bin/sh", "-c", &script];
            let reader = std::thread::spawn({
                let fifo = fifo.clone();
                move || fs::read(fifo).unwrap()
            });
            let said = command::said(&words, &[], (10, Duration::from_millis(300)));
            let fault = said.unwrap_err().to_string();
            assert!(fault.contains("did not end in time"), "{fault}");
            // At its end nobody has the FIFO open any more.
            assert_eq!(reader.join().unwrap(), b"", "{script}");
        }
    }
}
