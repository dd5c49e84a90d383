//! F13, F14: a protected name is protected in every spelling that some file system takes for it.

use crate::support::Place;
use crate::trial::{allowed, denied, policy};

/// Other spellings of built-in names.
const SPELLINGS: &[&str] = &[
    ".CLAUDE",
    ".Claude",
    ".claudE",
    ".GIT/hooks",
    ".git/HOOKS",
    ".Git/Hooks",
    ".MCP.json",
    ".mcp.JSON",
    ".EnvRC",
    ".VSCode",
    ".GitModules",
    ".HUSKY",
    ".BASHRC",
    // The Kelvin sign and the long s are letters of other cases.
    ".hus\u{212a}y",
    ".hu\u{17f}ky",
    ".v\u{17f}code",
    // What HFS+ does not look at.
    ".claude\u{200d}",
    ".\u{200c}claude",
    ".cl\u{200b}aude",
    ".g\u{200c}it/hooks",
    ".git/ho\u{200d}oks",
    ".git/\u{feff}hooks",
    ".mcp\u{2060}.json",
    ".env\u{202a}rc",
    ".env\u{206f}rc",
    "\u{200e}.envrc",
    ".codex\u{200f}",
];

fn ways(name: &str) -> Vec<(String, &'static str)> {
    // Below a directory that is there under its own spelling alone.
    let parent = match name.rsplit_once('/') {
        Some((parent, _)) => format!("os.makedirs('{parent}', exist_ok=True); "),
        None => String::new(),
    };
    [
        format!("put('{name}')"),
        format!("os.mkdir('{name}')"),
        format!("os.rename('f', '{name}')"),
        format!("os.symlink('f', '{name}')"),
        format!("os.link('f', '{name}')"),
    ]
    .map(|act| (format!("{parent}{act}"), "EACCES"))
    .into()
}

#[test]
fn built_in_names_in_other_spellings_are_not_made() {
    let place = Place::new();
    place.write("home/src/app/f", "");
    place.write("home/src/app/.git/HEAD", "");
    let acts: Vec<_> = SPELLINGS.iter().flat_map(|name| ways(name)).collect();
    denied(&place, &[], &acts);
    allowed(
        &place,
        &[],
        &[
            "for name in ('.claudia', '.clåude', '.gît', 'mcp.json', '.env', '.codeX2', '.ｃlaude'): put(name); os.unlink(name)",
        ],
    );
}

/// The git directory itself, in a tree that has none.
#[test]
fn a_git_directory_in_another_spelling_is_not_made() {
    let place = Place::new();
    place.write("home/src/app/f", "");
    let names = [".GIT", ".Git", ".gI\u{200c}t", ".g\u{200d}it", ".git\u{feff}"];
    let acts: Vec<_> = names.iter().flat_map(|name| ways(name)).collect();
    denied(&place, &[], &acts);
}

/// A person's name with accents, in both forms.
#[test]
fn composed_and_decomposed_are_one_name() {
    let place = Place::new();
    place.write("home/src/app/f", "");
    for written in ["caf\u{e9}/\u{e5}ngstr\u{f6}m", "cafe\u{301}/a\u{30a}ngstro\u{308}m"] {
        let options = policy(&place, &format!("protect = [\"{written}\", \"\u{d55c}.txt\"]"));
        let options = options.each_ref().map(String::as_str);
        let names = [
            "caf\u{e9}/\u{e5}ngstr\u{f6}m",
            "cafe\u{301}/a\u{30a}ngstro\u{308}m",
            "CAF\u{c9}/\u{c5}NGSTR\u{d6}M",
            "CAFE\u{301}/A\u{30a}NGSTRO\u{308}M",
            // The sign for the unit is that letter.
            "caf\u{e9}/\u{212b}ngstr\u{f6}m",
            "\u{d55c}.txt",
            "\u{1112}\u{1161}\u{11ab}.TXT",
        ];
        let acts: Vec<_> = names.iter().flat_map(|name| ways(name)).collect();
        denied_below(&place, &options, &acts);
        allowed(&place, &options, &["os.makedirs('cafe', exist_ok=True); put('cafe/angstrom')"]);
    }
}

/// As [`denied`], where the parent may be made: it is made before.
#[track_caller]
fn denied_below(place: &Place, options: &[&str], acts: &[(String, &str)]) {
    for name in ["caf\u{e9}", "cafe\u{301}", "CAF\u{c9}", "CAFE\u{301}"] {
        std::fs::create_dir_all(place.work.join(name)).unwrap();
    }
    denied(place, options, acts);
}
