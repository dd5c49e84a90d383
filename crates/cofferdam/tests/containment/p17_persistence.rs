//! P17: places that run something later on the host: each write is refused, or nobody's but the
//! sandbox's.

use crate::support::{Place, finish};

/// In the home.
const HOME: &[&str] = &[
    ".bashrc",
    ".bash_profile",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".config/fish/config.fish",
    ".config/systemd/user/x.service",
    ".config/autostart/x.desktop",
    ".local/share/applications/x.desktop",
    "Library/LaunchAgents/x.plist",
    ".gitconfig",
    ".config/git/config",
    ".git-templates/hooks/post-checkout",
    ".vim/plugin/x.vim",
    ".config/nvim/plugin/x.lua",
    ".emacs.d/init.el",
    ".vscode/extensions/x/package.json",
    ".ssh/authorized_keys",
    ".ssh/rc",
    ".local/bin/x",
    "bin/x",
    ".cargo/bin/x",
    ".npmrc",
    ".config/pip/pip.conf",
    ".config/cofferdam/policy.toml",
];

/// Of the machine. An ordinary user cannot write them outside either.
const SYSTEM: &[&str] = &[
    "/etc/profile.d/x.sh",
    "/etc/cron.d/x",
    "/etc/ld.so.preload",
    "/etc/systemd/system/x.service",
    "/var/spool/cron/crontabs/x",
    "/usr/local/bin/x",
    "/usr/share/git-core/templates/hooks/post-checkout",
    "/lib/systemd/system/x.service",
];

#[test]
fn nothing_stays_that_runs_later() {
    let place = Place::new();
    let write = |path: &str| format!("mkdir -p \"$(dirname {path})\" && echo planted >> {path}");
    let policy = place.write("p.toml", "version = 1\n[filesystem]\nhome = \"project\"\n");
    let policy = policy.display().to_string();
    place.outside("mkdir -p $H/.cargo/bin $H/.local/bin").works("toolchains");
    let state = "find $H -path $H/.local/state -prune -o -path $H/src/app -prune -o -type f -print \
                 -exec md5sum {} + | sort";
    let before = place.outside(state).works("before").out;
    for name in HOME {
        let act = write(&format!("$H/{name}"));
        for options in [&[][..], &["--policy", &policy]] {
            let ran = place.inside_with(options, &act);
            // A toolchain is read-only; what is else in the home is the sandbox's.
            let denied = ran.err.contains("Read-only") || ran.err.contains("Permission denied");
            assert!(ran.status == Some(0) || denied, "{name}: {ran:?}");
            assert_eq!(place.outside(state).out, before, "{name}: nothing of it in the home");
        }
    }
    for path in SYSTEM {
        let ran = finish(place.cofferdam(&[]).args(["sh", "-c", &write(path)]));
        ran.fails(&["Read-only", "Permission denied", "No such file"], path);
        assert!(!std::path::Path::new(path).exists(), "{path}");
    }
    place.inside("echo x > file && mkdir -p bin && echo x > bin/x").works("in the workspace");
    for name in HOME {
        place.outside(&write(&format!("$H/{name}"))).works("the control");
    }
    assert_ne!(place.outside(state).out, before, "which shows");
}
