//! A vault on a file system: what opens it, what does not, and what stays as it was.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A directory of one test, removed at its end.
pub(super) struct Place(pub(super) PathBuf);

impl Place {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let top = fs::canonicalize(std::env::temp_dir()).unwrap();
        let path = top.join(format!("cofferdam-vault-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn vault(&self) -> Vault {
        Vault::at(self.0.join("config/cofferdam"))
    }

    fn file(&self, name: &str) -> PathBuf {
        let folder = self.0.join("config/cofferdam");
        if name.is_empty() { folder } else { folder.join(name) }
    }

    fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.file(name)).ok()
    }

    /// Every file of the vault with its bytes.
    fn all(&self) -> Vec<Option<Vec<u8>>> {
        [FILE, PREVIOUS, KEY].map(|name| self.bytes(name)).into()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

pub(super) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(super) fn secret(text: &str) -> Secret {
    Secret::of(text.as_bytes()).unwrap()
}

fn rows(vault: &Vault, passphrase: Option<&Secret>) -> Vec<String> {
    let opened = vault.open(passphrase).unwrap();
    let row = |name: &Name| {
        let value = opened.secret(name).unwrap().expose().to_vec();
        format!("{}={}", name.as_str(), String::from_utf8(value).unwrap())
    };
    opened.names().map(row).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_a_name_is() {
    let long = "a".repeat(64);
    let longer = "a".repeat(65);
    for (text, good, why) in [
        ("a", true, "one letter"),
        ("0", true, "a digit"),
        ("anthropic.api-key_2", true, "all that may be"),
        (&long, true, "the longest"),
        ("", false, "nothing"),
        (&longer, false, "one more"),
        ("A", false, "a capital"),
        (".a", false, "begins with a dot"),
        ("-a", false, "looks like an option"),
        ("a/b", false, "a path"),
        ("a b", false, "a blank"),
        ("a\n", false, "a line end"),
        ("\u{e4}", false, "another script"),
    ] {
        assert_eq!(Name::parse(text).is_ok(), good, "{text:?}: {why}");
    }
}

#[test]
fn secrets_are_stored_changed_and_removed() {
    let place = Place::new();
    let vault = place.vault();
    assert_eq!(vault.needs().unwrap(), Needs::Absent);
    assert_eq!(vault.open(None).unwrap_err().code(), "vault-missing");
    assert_eq!(vault.remove(&name("a"), None).unwrap_err().code(), "vault-missing");
    assert!(!place.file("").exists(), "who only looks makes nothing");
    assert_eq!(vault.set(&name("a"), &secret("one"), None).unwrap(), Stored::New);
    assert_eq!(vault.set(&name("b"), &secret("two"), None).unwrap(), Stored::New);
    assert_eq!(vault.set(&name("a"), &secret("three"), None).unwrap(), Stored::Replaced);
    assert_eq!(vault.needs().unwrap(), Needs::Key);
    assert_eq!(rows(&vault, None), ["a=three", "b=two"]);
    vault.rotate(&name("b"), &secret("four"), None).unwrap();
    assert_eq!(vault.rotate(&name("c"), &secret("x"), None).unwrap_err().code(), "secret-unknown");
    assert_eq!(vault.remove(&name("c"), None).unwrap_err().code(), "secret-unknown");
    vault.remove(&name("a"), None).unwrap();
    assert_eq!(rows(&vault, None), ["b=four"]);
    let opened = vault.open(None).unwrap();
    assert_eq!(opened.secret(&name("a")).unwrap_err().code(), "secret-unknown");
    for (file, want) in [("", 0o700), (FILE, 0o600), (PREVIOUS, 0o600), (KEY, 0o600)] {
        assert_eq!(mode(&place.file(file)), want, "{file}");
    }
    for file in [FILE, PREVIOUS] {
        let bytes = place.bytes(file).unwrap();
        assert!(!bytes.windows(4).any(|part| part == b"four"), "{file} is sealed");
    }
}

#[test]
fn what_was_before_is_kept() {
    let place = Place::new();
    let vault = place.vault();
    vault.set(&name("a"), &secret("one"), None).unwrap();
    let first = place.bytes(FILE);
    assert_eq!(place.bytes(PREVIOUS), None);
    vault.set(&name("a"), &secret("two"), None).unwrap();
    assert_eq!(place.bytes(PREVIOUS), first);
    fs::rename(place.file(PREVIOUS), place.file(FILE)).unwrap();
    assert_eq!(rows(&vault, None), ["a=one"], "and opens");
}

#[test]
fn a_passphrase_is_asked_for() {
    let place = Place::new();
    let (vault, words) = (place.vault(), secret("correct horse"));
    vault.set(&name("a"), &secret("one"), Some(&words)).unwrap();
    assert_eq!(vault.needs().unwrap(), Needs::Passphrase);
    assert_eq!(place.bytes(KEY), None, "no key lies about");
    assert_eq!(rows(&vault, Some(&words)), ["a=one"]);
    let before = place.all();
    let other = secret("another");
    for (given, want) in [(None, "vault-locked"), (Some(&other), "vault-passphrase")] {
        assert_eq!(vault.open(given).unwrap_err().code(), want);
        let set = vault.set(&name("b"), &secret("two"), given);
        assert_eq!(set.unwrap_err().code(), want);
        assert_eq!(vault.remove(&name("a"), given).unwrap_err().code(), want);
        assert_eq!(vault.rekey(given, None).unwrap_err().code(), want);
    }
    assert_eq!(place.all(), before, "nothing was touched");
}

#[test]
fn a_new_key_opens_both_versions_and_the_old_one_none() {
    let place = Place::new();
    let vault = place.vault();
    vault.set(&name("a"), &secret("one"), None).unwrap();
    vault.set(&name("a"), &secret("two"), None).unwrap();
    let old = place.bytes(KEY).unwrap();
    vault.rekey(None, None).unwrap();
    let new = place.bytes(KEY).unwrap();
    assert_ne!(old, new);
    assert_eq!(rows(&vault, None), ["a=two"]);
    fs::copy(place.file(FILE), place.0.join("kept")).unwrap();
    fs::copy(place.file(PREVIOUS), place.file(FILE)).unwrap();
    assert_eq!(rows(&vault, None), ["a=two"], "the previous one is sealed to it too");
    fs::write(place.file(KEY), &old).unwrap();
    for file in ["kept", "config/cofferdam/vault.age.previous"] {
        fs::copy(place.0.join(file), place.file(FILE)).unwrap();
        assert_eq!(vault.open(None).unwrap_err().code(), "vault-wrong-key", "{file}");
    }
    // To a passphrase, and back.
    fs::write(place.file(KEY), &new).unwrap();
    let words = secret("words");
    vault.rekey(None, Some(&words)).unwrap();
    assert_eq!(place.bytes(KEY), None);
    assert_eq!(rows(&vault, Some(&words)), ["a=two"]);
    vault.rekey(Some(&words), None).unwrap();
    assert_eq!(rows(&vault, None), ["a=two"]);
}

/// Between any two steps of a change of keys a process may end.
#[test]
fn two_keys_open_what_either_sealed() {
    let place = Place::new();
    let vault = place.vault();
    vault.set(&name("a"), &secret("one"), None).unwrap();
    let both = Keys::read(&place.bytes(KEY).unwrap()).unwrap().before().text();
    fs::write(place.file(KEY), &*both).unwrap();
    assert_eq!(rows(&vault, None), ["a=one"], "ended before the vault was sealed anew");
    vault.set(&name("b"), &secret("two"), None).unwrap();
    assert_eq!(rows(&vault, None), ["a=one", "b=two"]);
    let newest = Keys::read(&both).unwrap().newest().text();
    fs::write(place.file(KEY), &*newest).unwrap();
    assert_eq!(rows(&vault, None), ["a=one", "b=two"], "which the newest opens alone");
}

type Spoil = fn(&Place);
fn write(place: &Place, file: &str, bytes: &[u8]) {
    fs::write(place.file(file), bytes).unwrap();
}
fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
/// The code, what is done to a vault of two versions, and why.
const SPOILED: &[(&str, Spoil, &str)] = &[
    ("vault-corrupt", |p| write(p, FILE, b""), "an empty vault"),
    ("vault-corrupt", |p| write(p, FILE, b"age-encryption.org/v1\n"), "a cut one"),
    (
        "vault-corrupt",
        |p| {
            let mut bytes = p.bytes(FILE).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            write(p, FILE, &bytes);
        },
        "a changed one",
    ),
    ("vault-corrupt", |p| write(p, KEY, b"no key\n"), "no key in the key"),
    ("vault-wrong-key", |p| write(p, KEY, &Keys::new().text()), "another key"),
    ("vault-no-key", |p| fs::remove_file(p.file(KEY)).unwrap(), "no key"),
    ("vault-gone", |p| fs::remove_file(p.file(FILE)).unwrap(), "no vault, but a previous"),
    ("secret-shared", |p| chmod(&p.file(FILE), 0o640), "a group reads the vault"),
    ("secret-shared", |p| chmod(&p.file(KEY), 0o604), "all read the key"),
    ("secret-shared", |p| chmod(&p.file(""), 0o755), "all look into the directory"),
    (
        "secret-no-file",
        |p| {
            fs::rename(p.file(FILE), p.0.join("v")).unwrap();
            symlink(p.0.join("v"), p.file(FILE)).unwrap();
        },
        "the vault is a link",
    ),
    (
        "secret-no-file",
        |p| {
            fs::rename(p.file(KEY), p.0.join("k")).unwrap();
            symlink(p.0.join("k"), p.file(KEY)).unwrap();
        },
        "the key is a link",
    ),
    (
        "secret-no-file",
        |p| {
            fs::rename(p.file(""), p.0.join("elsewhere")).unwrap();
            symlink(p.0.join("elsewhere"), p.file("")).unwrap();
        },
        "the directory is a link",
    ),
    (
        "secret-no-file",
        |p| {
            fs::remove_file(p.file(FILE)).unwrap();
            fs::create_dir(p.file(FILE)).unwrap();
        },
        "the vault is a directory",
    ),
];

/// Whatever is wrong, every act says so, and no file changes.
#[test]
fn what_cannot_be_read_is_never_written_over() {
    for (want, spoil, why) in SPOILED {
        let place = Place::new();
        let vault = place.vault();
        for value in ["one", "two"] {
            vault.set(&name("a"), &secret(value), None).unwrap();
        }
        assert!(vault.open(None).is_ok());
        spoil(&place);
        let before = place.all();
        assert_eq!(vault.open(None).unwrap_err().code(), *want, "{why}");
        assert_eq!(vault.set(&name("b"), &secret("x"), None).unwrap_err().code(), *want, "{why}");
        let rotated = vault.rotate(&name("a"), &secret("x"), None);
        assert_eq!(rotated.unwrap_err().code(), *want, "{why}");
        assert_eq!(vault.remove(&name("a"), None).unwrap_err().code(), *want, "{why}");
        assert_eq!(vault.rekey(None, None).unwrap_err().code(), *want, "{why}");
        assert_eq!(place.all(), before, "{why}");
    }
}

#[test]
fn what_an_ended_writer_left_is_nobodys() {
    let place = Place::new();
    let vault = place.vault();
    vault.set(&name("a"), &secret("one"), None).unwrap();
    for file in ["vault.age.new", "vault.age.previous.new", "vault.key.new"] {
        fs::write(place.file(file), b"half").unwrap();
    }
    assert_eq!(rows(&vault, None), ["a=one"]);
    vault.set(&name("b"), &secret("two"), None).unwrap();
    vault.rekey(None, None).unwrap();
    assert_eq!(rows(&vault, None), ["a=one", "b=two"]);
    assert!(!place.file("vault.age.new").exists());
}

#[test]
fn writers_wait_for_each_other() {
    let place = Place::new();
    let vault = place.vault();
    vault.set(&name("a"), &secret("one"), None).unwrap();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let vault = vault.clone();
            std::thread::spawn(move || {
                for number in 0..4 {
                    let name = name(&format!("w{writer}-{number}"));
                    vault.set(&name, &secret("x"), None).unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!(rows(&vault, None).len(), 17, "none is lost");
}

#[test]
fn a_writer_that_does_not_end_is_not_waited_for_for_ever() {
    let place = Place::new();
    place.vault().set(&name("a"), &secret("one"), None).unwrap();
    let folder = Folder::open(&place.file("."), Absent::Leave).unwrap().unwrap();
    let held = folder.lock(Duration::ZERO).unwrap();
    assert_eq!(folder.lock(Duration::ZERO).unwrap_err().code(), "vault-busy");
    assert_eq!(rows(&place.vault(), None), ["a=one"], "a reader needs no lock");
    drop(held);
    assert!(folder.lock(Duration::ZERO).is_ok());
}

#[test]
fn a_vault_has_a_most() {
    let all = (0..sealed::SECRETS_MAX).map(|at| (name(&format!("n{at}")), secret("x")));
    let mut contents = Contents(all.collect());
    let keys = Keys::new();
    assert!(contents.seal(&Opens::Keys(&keys)).is_some());
    contents.0.insert(name("more"), secret("x"));
    assert!(contents.seal(&Opens::Keys(&keys)).is_none(), "too many");
    let long = "x".repeat(SECRET_BYTES_MAX);
    let all = (0..100).map(|at| (name(&format!("n{at}")), secret(&long)));
    assert!(Contents(all.collect()).seal(&Opens::Keys(&keys)).is_none(), "too long together");
}
