//! The built-in view: what every workload sees besides what a person grants, as data.
//!
//! What is not named here or granted is absent. Each list says why its entries are on it.

/// Trees of the system, read-only. Those that a host lacks are left out.
///
/// `/bin`, `/sbin`, `/lib*` are symbolic links into `/usr` on merged systems and trees of their
/// own on others; both are shown as the host has them.
pub const SYSTEM: &[&str] =
    &["/usr", "/opt", "/nix", "/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Names at the root of a root file system that stands in for the host's: what the sandbox makes itself,
/// what is nobody's inside, and what a program may have left there.
pub const NOT_OF_A_ROOTFS: &[&str] = &[
    "/.cofferdam",
    "/boot",
    "/dev",
    "/home",
    "/lost+found",
    "/media",
    "/mnt",
    "/proc",
    "/root",
    "/run",
    "/srv",
    "/sys",
    "/tmp",
    "/var",
];

/// Toolchains in the home, read-only, those that exist. Whole trees only where none of their
/// files holds a token: `~/.cargo` itself has `credentials.toml`, so only three of its children.
pub const TOOLCHAINS: &[&str] = &[
    ".rustup",
    ".cargo/bin",
    ".cargo/registry",
    ".cargo/git",
    ".nvm",
    ".volta",
    ".pyenv",
    ".local/bin",
    // Not the whole of it: `credentials/` holds tokens.
    ".local/share/uv/python",
    ".local/share/uv/tools",
    ".local/share/mise",
    ".local/share/claude",
    ".bun",
    ".deno/bin",
    "go/bin",
    "go/pkg/mod",
    ".sdkman",
];

/// What is temporary, below the home of a jail that has no `/tmp` of its own.
pub const OWN_TEMPORARY: &str = ".tmp";

/// Entries of `/etc` that are hidden: hashes, keys and our own configuration. An ordinary user
/// cannot read most of them anyway; hidden, they stay unreadable whoever starts the sandbox.
pub const ETC_HIDDEN: &[&str] = &[
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssl/private",
    "/etc/cofferdam",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssh/ssh_host_dsa_key",
];

/// Entries of `/etc` that cofferdam writes itself: users, names and resolvers of the sandbox.
pub const ETC_OURS: &[&str] =
    &["/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf"];

/// Files with the authorities that this system believes, in PEM, where the distributions keep them
/// (Debian, Alpine and Arch; Fedora; openSUSE; OpenSSL's own name; what Fedora's name leads to).
/// Replaced by our own where the gateway looks into TLS.
pub const AUTHORITIES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/// The same in the form of Java's, to which the distributions' own Javas lead.
pub const AUTHORITIES_OF_JAVA: &[&str] =
    &["/etc/ssl/certs/java/cacerts", "/etc/pki/ca-trust/extracted/java/cacerts"];

/// Names below a writable tree that run code or change what runs, when a person or a tool next
/// works there outside: git hooks and configuration, agents' and editors' settings, shell files.
///
/// Git reads configuration from `config.worktree` as well, and everything from elsewhere where
/// `commondir` says so: [`GIT_NAMES`] has the same for other git directories. What
/// `info/attributes` names runs where the configuration says how.
pub const PROTECTED: &[&str] = &[
    ".git/hooks",
    // Older places of remotes, which git reads where a name has no url.
    ".git/remotes",
    ".git/branches",
    GIT_CONFIG,
    ".git/config.worktree",
    ".git/commondir",
    ".git/info",
    // Leads git, and whoever clones, to other repositories.
    ".gitmodules",
    // Mercurial runs the hooks that it names.
    ".hg/hgrc",
    ".husky",
    ".claude",
    ".codex",
    ".agents",
    ".cursor",
    ".gemini",
    ".cofferdam",
    ".vscode",
    ".idea",
    ".devcontainer",
    ".mcp.json",
    ".envrc",
    ".bashrc",
    ".bash_aliases",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".profile",
    ".kshrc",
    ".cshrc",
    ".tcshrc",
    ".login",
    ".logout",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".zlogout",
];

/// The name of [`PROTECTED`] that takes a new text where it changes nothing that could run a program.
pub const GIT_CONFIG: &str = ".git/config";

/// Names below a writable tree that stay what they are, a file, a directory or nothing, and whose
/// content is judged by itself: another `.git` is another configuration.
pub const PROTECTED_ENTRIES: &[&str] = &[".git"];

/// Patterns of names below a writable tree that are protected: what we read is ours to name.
pub const PROTECTED_PATTERNS: &[&str] = &[".cofferdam*"];

/// Shared temporary directories: anybody may plant names there, so they are no workspace.
pub const SHARED_TEMPORARY: &[&str] = &["/tmp", "/var/tmp", "/dev/shm"];

/// Directories that cofferdam makes itself; a grant that contains or replaces one would take the
/// wall's own ground away.
pub const RESERVED: &[&str] = &["/proc", "/sys", "/dev", "/run"];

/// What runs code or leads git elsewhere, in any git directory.
pub const GIT_NAMES: &[&str] = &[
    "hooks",
    GIT_DIRECTORY_CONFIG,
    "config.worktree",
    "commondir",
    "gitdir",
    "info",
    "remotes",
    "branches",
];

/// The name of [`GIT_NAMES`] that takes a new text as [`GIT_CONFIG`] does.
pub const GIT_DIRECTORY_CONFIG: &str = "config";

/// Trees whose content belongs to the system: nothing at or below them is granted for writing.
/// `/usr/src` and `/usr/local/src` are left out, where containers keep projects.
pub const SYSTEM_OWNED: &[&str] = &[
    "/usr",
    "/etc",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/boot",
    "/nix",
    "/var/spool",
];

/// Exceptions of [`SYSTEM_OWNED`].
pub const SYSTEM_SOURCES: &[&str] = &["/usr/src", "/usr/local/src"];

/// The directory whose own children are homes, whoever is listed where.
pub const HOMES: &str = "/home";

/// Variables that pass by default. `LC_*` stands for every name with that prefix.
pub const DEFAULT_VARIABLES: &[&str] = &["TERM", "LANG", "LC_*", "COLORTERM", "TZ", "NO_COLOR"];

/// Variables that cofferdam sets; nobody passes them.
pub const OWN_VARIABLES: &[&str] = &["HOME", "USER", "LOGNAME", "TMPDIR", "PATH", "SHELL", "PWD"];

/// The `PATH` where the caller's has no entry inside the view.
pub const FALLBACK_PATH: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin"];

/// Names that the pattern `LC_*` stands for in a C library (`locale(7)`): records show their values;
/// those of other variables with that prefix are only named.
pub const LOCALE_VARIABLES: &[&str] = &[
    "LC_ALL",
    "LC_ADDRESS",
    "LC_COLLATE",
    "LC_CTYPE",
    "LC_IDENTIFICATION",
    "LC_MEASUREMENT",
    "LC_MESSAGES",
    "LC_MONETARY",
    "LC_NAME",
    "LC_NUMERIC",
    "LC_PAPER",
    "LC_TELEPHONE",
    "LC_TIME",
];

/// More parts of a name that say so: what only a pattern covers does not pass with one of them.
pub const SECRET_WORDS_OF_PATTERNS: &[&str] =
    &["PASS", "_KEY", "_PAT", "PWD", "AUTH", "COOKIE", "DSN", "SESSION", "PRIVATE", "CERT"];

/// Parts of a variable's name that say its value is a secret. Such a name is never passed.
pub const SECRET_WORDS: &[&str] = &[
    "SECRET",
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "API_KEY",
    "APIKEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
    "AUTH_SOCK",
];
