//! How a distribution installs `runsc`, from what it says of itself (`os-release(5)`).

use std::fs;

/// Of this machine.
pub(super) fn here() -> String {
    let files = ["/etc/os-release", "/usr/lib/os-release"];
    let text = files.iter().find_map(|path| fs::read_to_string(path).ok());
    advice(&text.unwrap_or_default())
}

/// What its maker says, where a distribution has none.
const MAKERS: &str = "follow gVisor's own instructions, \"Installation\" in its user guide, which put runsc \
                      and its checksum in /usr/local/bin";

/// From the text of an `os-release`.
fn advice(text: &str) -> String {
    let like = value(text, "ID_LIKE");
    let ids = [value(text, "ID")].into_iter().chain(like.split(' ').map(str::to_owned));
    let name = value(text, "PRETTY_NAME");
    let known = ids.into_iter().find_map(|id| match id.as_str() {
        "debian" => Some("sudo apt-get install runsc".to_owned()),
        // Some releases have it, and not each: nothing is promised.
        "ubuntu" => Some(format!("not every release of Ubuntu has a package of runsc: {MAKERS}")),
        "fedora" | "rhel" | "centos" | "suse" | "opensuse" | "alpine" => {
            Some(format!("this distribution has no package of runsc: {MAKERS}"))
        }
        "arch" => Some(format!("Arch itself has no package of runsc: {MAKERS}")),
        "nixos" => Some("nix-env -iA nixos.gvisor, and --runsc $(command -v runsc)".to_owned()),
        _ => None,
    });
    known.unwrap_or_else(|| match name.as_str() {
        "" => MAKERS.to_owned(),
        name => format!("for {name}: {MAKERS}"),
    })
}

/// A variable of the file, without its quotes; empty where it has none. Letters that a person's terminal
/// would obey are left out.
fn value(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
    let value = line.unwrap_or_default().trim_matches(['"', '\'']);
    value.chars().filter(|letter| !letter.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_distribution_has_its_own() {
        for (text, want, not) in [
            (
                "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n",
                "sudo apt-get install runsc",
                "own",
            ),
            ("ID=devuan\nID_LIKE=debian\n", "sudo apt-get install runsc", "own"),
            ("NAME=Ubuntu\nID=ubuntu\nID_LIKE=debian\n", "gVisor's own instructions", "apt-get"),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "gVisor's own instructions", "apt-get"),
            ("ID=fedora\n", "this distribution has no package", "apt-get"),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "no package", "apt-get"),
            ("ID=arch\n", "Arch itself has no package", "apt-get"),
            ("ID=nixos\n", "nixos.gvisor", "apt-get"),
            ("PRETTY_NAME=\"Some Linux\"\nID=some\n", "for Some Linux: follow", "apt-get"),
            ("", "follow gVisor's own instructions", "for "),
            ("ID_LIKES=debian\nIDE=debian\n", "follow gVisor's own instructions", "apt-get"),
        ] {
            let said = advice(text);
            assert!(said.contains(want) && !said.contains(not), "{text:?}: {said}");
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_left_out() {
        let said = advice("ID=x\nPRETTY_NAME=\"a\u{1b}[2Jb\"\n");
        assert!(said.starts_with("for a[2Jb: "), "{said:?}");
    }
}
