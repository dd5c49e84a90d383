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
        "ubuntu" => Some(format!("Ubuntu is not sure to have runsc: {MAKERS}")),
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
