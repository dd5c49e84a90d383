//! Rows of what the broker holds: names, whether they exist or not, and sockets.

use std::path::{Path, PathBuf};

use cofferdam_policy::Rules;
use cofferdam_policy::credentials::AGENT;
use cofferdam_policy::judge::names::{Hold, NameRule};
use cofferdam_policy::model::Clause;

use super::{Coverage, Extent, row};

/// How the broker holds whatever it holds.
pub(crate) const BROKER: &str = "the broker: names are judged per operation";
/// The second wall.
const MOUNTS: &str = "read-only mounts over what is there";
/// What of a hidden name is open.
pub(crate) const LISTED: &str = "that the name exists shows in its directory's list, and to calls that \
                                 neither open nor ask for its status (O_PATH, chdir, exec, xattr)";

/// Sockets by path: those that were made inside, and those that are granted.
pub(crate) fn sockets(rules: &Rules) -> Vec<Coverage> {
    let mut rows = vec![row(
        rules.socket_clause(),
        "only sockets that were made inside, or are granted, are connected to",
        &[BROKER, "mount view", "no AF_UNIX datagrams"],
        Extent::Enforced,
    )];
    // What comes of the agent's is a row of its credential's.
    let granted = rules.sockets().iter().filter(|(path, _)| path != Path::new(AGENT));
    rows.extend(granted.map(|(path, clause)| {
        let says = format!("the socket {} may be connected to", path.display());
        let open = "whatever its server does for anybody who connects".into();
        row(clause, &says, &[BROKER], Extent::Partly { open })
    }));
    rows
}

/// The names that every policy protects; `covered` are those with a mount of ours.
pub(crate) fn protected(rules: &Rules, covered: &[&Path]) -> Vec<Coverage> {
    let clause = Clause::built_in("filesystem.protect");
    let of: Vec<&NameRule> = rules.names().iter().filter(|rule| rule.clause == clause).collect();
    if of.is_empty() {
        return Vec::new();
    }
    let mut tops = Vec::new();
    let mut names = Vec::new();
    for rule in &of {
        let top = rule.top.display().to_string();
        let name = match rule.hold {
            Hold::ProtectEntry => format!("{} itself", rule.pattern.text()),
            Hold::Protect | Hold::GitConfig | Hold::Hide | Hold::Mask => {
                rule.pattern.text().to_owned()
            }
        };
        if !tops.contains(&top) {
            tops.push(top);
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let (tops, names) = (tops.join(", "), names.join(", "));
    let mut rows = vec![
        row(
            &clause,
            format!(
                "in {tops}, nothing is made, changed, removed or moved by these names, there or not: \
                 {names}"
            ),
            walls(&of, covered),
            Extent::Enforced,
        ),
        row(
            &clause,
            "what is behind these names is changed in no other way",
            walls(&of, covered),
            Extent::Partly {
                open: "a file that has a second name which the host made (a hard link) is changed by \
                       that one; times of modification can be set of git's settings, and of what the \
                       host made or replaced meanwhile"
                    .into(),
            },
        ),
    ];
    if of.iter().any(|rule| rule.hold == Hold::GitConfig) {
        rows.push(row(
            &clause,
            "git's settings take a new text where it changes branches, remotes of allowed hosts or the \
             user's name, and no key that can run a program",
            &["the broker: it writes the text that it checked"],
            Extent::Enforced,
        ));
    }
    rows
}

/// Whether one of the rules names something that has a mount of ours as well.
fn walls(rules: &[&NameRule], covered: &[&Path]) -> &'static [&'static str] {
    let path = |rule: &&NameRule| rule.pattern.concrete().map(|name| rule.top.join(name));
    if rules.iter().filter_map(path).any(|path| covered.contains(&path.as_path())) {
        &[BROKER, MOUNTS]
    } else {
        &[BROKER]
    }
}

/// What a person protects, hides or masks, a row a clause; what is hidden under a mount of ours has its
/// row already.
pub(crate) fn asked(rules: &Rules, covered: &[&Path]) -> Vec<Coverage> {
    let mut groups: Vec<(&NameRule, Vec<&NameRule>)> = Vec::new();
    for rule in rules.names().iter().filter(|rule| rule.clause.file != "built-in") {
        let mounted = walls(&[rule], covered).len() > 1;
        if rule.hold == Hold::Hide && mounted {
            continue;
        }
        let same = |(first, _): &&mut (&NameRule, Vec<&NameRule>)| {
            first.clause == rule.clause && first.hold == rule.hold
        };
        match groups.iter_mut().find(same) {
            Some((_, all)) => all.push(rule),
            None => groups.push((rule, vec![rule])),
        }
    }
    groups.iter().map(|(first, all)| one(first, all, covered)).collect()
}

/// The row of one clause.
fn one(first: &NameRule, all: &[&NameRule], covered: &[&Path]) -> Coverage {
    let path = |rule: &&NameRule| -> PathBuf {
        let text = rule.pattern.text();
        if text.is_empty() { rule.top.clone() } else { rule.top.join(text) }
    };
    let names: Vec<String> = all.iter().map(|rule| path(rule).display().to_string()).collect();
    let names = names.join(", ");
    let (says, extent) = match first.hold {
        Hold::Protect | Hold::ProtectEntry | Hold::GitConfig => {
            (format!("{names} stays as it is, there or not"), Extent::Enforced)
        }
        Hold::Hide => (
            format!("{names} is hidden: open and stat find nothing"),
            Extent::Partly {
                open: format!(
                    "{LISTED}, and a program of that name runs; another name of a file (a hard link \
                     that the host made) is not hidden"
                ),
            },
        ),
        Hold::Mask => (
            format!("{names} reads as a placeholder of the same shape"),
            Extent::Partly {
                open:
                    "size, mode and times show, and a program of that name runs; another name of \
                       the file (a hard link that the host made) is not masked"
                        .into(),
            },
        ),
    };
    row(&first.clause, &says, walls(all, covered), extent)
}

/// What the broker itself is made of, and what programs miss for it.
pub(crate) fn itself() -> Coverage {
    row(
        &Clause::built_in("broker"),
        "calls that change names or meet sockets are judged and made by init, never by the workload",
        &["seccomp: each such call goes to init", "each thread of it under a filter of its own"],
        Extent::Partly {
            open: "a program that closes itself to others of its user (PR_SET_DUMPABLE) is told so and \
                   stays readable to the workload's other processes; no Landlock inside (EOPNOTSUPP); \
                   a program that may be run and not read (mode 0111) gets EACCES from all of them"
                .into(),
        },
    )
}

/// What hiding costs: everybody else pays nothing for reads.
pub(crate) fn looks(rules: &Rules) -> Option<Coverage> {
    let rule = rules.names().iter().find(|rule| match rule.hold {
        Hold::Hide | Hold::Mask => true,
        Hold::Protect | Hold::ProtectEntry | Hold::GitConfig => false,
    })?;
    let open = "each open, stat, access and readlink of any name waits for the broker, some tens of \
                microseconds, so what looks at many files takes longer";
    Some(row(
        &rule.clause,
        "hidden and masked names are looked for at every look",
        &[BROKER],
        Extent::Partly { open: open.into() },
    ))
}

#[cfg(test)]
mod tests {
    use cofferdam_policy::judge::pattern::Pattern;

    use super::*;

    fn rule(hold: Hold, top: &str, pattern: Pattern, clause: &Clause) -> NameRule {
        NameRule { hold, top: top.into(), pattern, clause: clause.clone() }
    }

    #[test]
    fn names_are_told_once_and_with_their_walls() {
        let built_in = Clause::built_in("filesystem.protect");
        let (hide, protect) = (Clause::flag("--hide"), Clause::flag("--protect"));
        let literal = Pattern::literal;
        let rules = Rules::new([]).with_names(vec![
            rule(Hold::Hide, "/w", Pattern::new("**/*.pem"), &hide),
            rule(Hold::Hide, "/w", literal("keys"), &hide),
            rule(Hold::Protect, "/w", literal(".claude"), &built_in),
            rule(Hold::Protect, "/v", literal(".claude"), &built_in),
            rule(Hold::GitConfig, "/w", literal(".git/config"), &built_in),
            rule(Hold::ProtectEntry, "/w", literal(".git"), &built_in),
            rule(Hold::Protect, "/w", literal("Makefile"), &protect),
            rule(Hold::Mask, "/w", literal("x"), &Clause::flag("--mask")),
        ]);
        let rows = protected(&rules, &[]);
        let says: Vec<&str> = rows.iter().map(|row| row.says.as_str()).collect();
        let [names, _, settings] = says.as_slice() else { unreachable!("three rows: {says:?}") };
        assert!(names.starts_with("in /w, /v, "), "{names}");
        assert!(names.ends_with("not: .claude, .git/config, .git itself"), "{names}");
        assert!(settings.contains("git's settings"), "{settings}");
        assert!(rows.iter().all(|row| row.mechanisms.len() == 1), "no mount is there");
        let covered = [Path::new("/v/.claude"), Path::new("/w/keys")];
        let rows = protected(&rules, &covered);
        assert_eq!(rows.first().map(|row| row.mechanisms.len()), Some(2), "one has a mount");

        let rows = asked(&rules, &covered);
        let says: Vec<&str> = rows.iter().map(|row| row.says.as_str()).collect();
        let want = [
            "/w/**/*.pem is hidden: open and stat find nothing",
            "/w/Makefile stays as it is, there or not",
            "/w/x reads as a placeholder of the same shape",
        ];
        assert_eq!(says, want, "what has a mount is told elsewhere");
        let enforced: Vec<bool> = rows.iter().map(|row| row.extent == Extent::Enforced).collect();
        assert_eq!(enforced, [false, true, false]);
        assert_eq!(looks(&rules).map(|row| row.clause), Some(hide));
        assert_eq!(looks(&Rules::new([])), None, "who hides nothing pays nothing");
        assert!(protected(&Rules::new([]), &[]).is_empty());
    }

    #[test]
    fn sockets_are_the_sessions_own_or_granted() {
        let clause = Clause::flag("--socket");
        let rules = Rules::new([]).with_sockets(vec![("/run/agent".into(), clause.clone())]);
        let rows = sockets(&rules);
        let clauses: Vec<&Clause> = rows.iter().map(|row| &row.clause).collect();
        assert_eq!(clauses, [rules.socket_clause(), &clause]);
        assert_eq!(rows.first().map(|row| &row.extent), Some(&Extent::Enforced));
    }
}
