//! Layers, the ceiling, and what a project may say.

use std::path::Path;

use super::fixture::facts;
use super::resolve;
use crate::document::{Document, Source};
use crate::error::PolicyError;
use crate::facts::{Facts, Kind};
use crate::layers::{Base, Layer, LayerText};
use crate::model::Policy;
use crate::{Act, Request, Rules, Verdict, decide, origins};

const MANAGED: &str = "/etc/cofferdam/policy.toml";
const USER: &str = "/home/u/.config/cofferdam/policy.toml";
const PROJECT: &str = "/home/u/w/.cofferdam/policy.toml";

fn text(layer: Layer, rules: &str) -> LayerText {
    let (name, base) = match layer {
        Layer::Managed => (MANAGED, Base::Home("/home/u".into())),
        Layer::Project => (PROJECT, Base::Directory("/home/u/w".into())),
        Layer::BuiltIn | Layer::User | Layer::Named | Layer::CommandLine => (USER, Base::AsWritten),
    };
    let source = Source { name: name.into(), text: format!("version = 1\n{rules}\n") };
    LayerText { layer, source, base }
}

/// A machine with some trees, a link into one, and variables.
fn machine() -> Facts {
    let mut facts = facts(&[
        ("/srv", Kind::Directory),
        ("/srv/a", Kind::Directory),
        ("/srv/a/s", Kind::Directory),
        ("/srv/a/s/x", Kind::Directory),
        ("/elsewhere", Kind::Directory),
        ("/elsewhere/x", Kind::Directory),
        ("/opt", Kind::Directory),
        ("/opt/t", Kind::Directory),
        ("/led", Kind::Link),
        ("/data", Kind::Directory),
        ("/data/t", Kind::Directory),
        ("/home/u/w/h", Kind::Directory),
        ("/home/u/w/p", Kind::File),
        ("/home/u/.node", Kind::Directory),
        ("/home/u/.npm", Kind::Directory),
    ]);
    for name in ["FOO", "BAR", "A_TOKEN"] {
        facts.environment.0.insert(name.into(), "v".into());
        facts.environment_names.push(name.into());
    }
    facts
}

fn stacked(texts: Vec<LayerText>, flags: Flags) -> Result<Policy, PolicyError> {
    let mut document = Document::stack(texts)?;
    flags(&mut document)?;
    resolve(&document, &machine())
}

type Flags = fn(&mut Document) -> Result<(), PolicyError>;
const NONE: Flags = |_| Ok(());

#[test]
fn lists_are_joined_and_the_last_single_value_holds() {
    let managed = "[filesystem]\nhide = ['/srv/a/s']\n[environment]\nallow = ['FOO']\n\
                   [limits]\nprocesses = 200\n[[network.allow]]\nhost = 'a.test'";
    let user = "[filesystem]\nhide = ['h']\ngrant = [{ path = '/srv', mode = 'read-only' }]\n\
                [environment]\nallow = ['BAR']\n[limits]\nprocesses = 100";
    let project = "[filesystem]\nprotect = ['p']\n[[network.allow]]\nhost = 'b.test'\n\
                   [[network.deny]]\nhost = 'a.test'";
    let texts =
        vec![text(Layer::Managed, managed), text(Layer::User, user), text(Layer::Project, project)];
    let mut document = Document::stack(texts).unwrap();
    document.add_hidden("/opt/t").unwrap();
    document.add_preset("npm").unwrap();
    let policy = resolve(&document, &machine()).unwrap();
    let passed: Vec<_> = document.variables.iter().map(|name| name.value.as_str()).collect();
    assert_eq!(passed, ["FOO", "BAR"], "in place of the default names, and joined");
    assert_eq!(policy.limits.processes.value, 100);
    let hosts: Vec<_> = document.network.allow.iter().map(|rule| rule.clause.to_string()).collect();
    let want =
        [format!("network.allow[0] ({MANAGED}:8)"), format!("network.allow[0] ({PROJECT}:4)")];
    assert_eq!(hosts, want, "each with its own file and line");
    let layers = origins(&policy, &document);
    let layer = |name: &str, file: &str| {
        let mut rows =
            layers.iter().filter(|(_, clause)| clause.name == name && clause.file == file);
        let found = rows.next().unwrap_or_else(|| panic!("{name} of {file}: {layers:?}")).0;
        assert!(rows.next().is_none(), "each once");
        found
    };
    assert_eq!(layer("filesystem.hide[0]", MANAGED), Layer::Managed);
    assert_eq!(layer("filesystem.hide[0]", USER), Layer::User);
    assert_eq!(layer("filesystem.protect[0]", PROJECT), Layer::Project);
    assert_eq!(layer("limits.processes", USER), Layer::User);
    assert_eq!(layer("limits.open_files", "built-in"), Layer::BuiltIn);
    assert_eq!(layer("network.allow[0]", "preset:npm"), Layer::CommandLine, "whose preset it is");
    assert!(layers.windows(2).all(|pair| pair[0].0 <= pair[1].0), "the highest first");
}

#[test]
fn names_of_a_project_begin_at_the_project() {
    let rules = "[filesystem]\nhide = ['h', '**/.env']\nprotect = ['d/*.x']\n\
                 workspace = { path = '.' }";
    let document = Document::stack(vec![text(Layer::Project, rules)]).unwrap();
    let hide: Vec<_> = document.hide.iter().map(|name| name.value.as_str()).collect();
    assert_eq!(hide, ["/home/u/w/h", "**/.env"]);
    assert_eq!(document.protect[0].value, "/home/u/w/d/*.x");
    assert_eq!(Path::new(&document.workspace.value.path), Path::new("/home/u/w/."));
    let mut strange = text(Layer::Project, rules);
    strange.base = Base::Directory("/home/u/[w]*".into());
    assert_eq!(Document::stack(vec![strange]).unwrap_err().code(), "layer-base");
}

#[test]
fn an_error_of_each_layer_shows_its_own_line() {
    for (layer, file) in [(Layer::Managed, MANAGED), (Layer::User, USER), (Layer::Project, PROJECT)]
    {
        let bad = "[filesystem]\ngrant = [\n{ path = '/nowhere', mode = 'read-only' }]";
        let all = [Layer::Managed, Layer::User, Layer::Project];
        let texts = all.map(|one| text(one, if one == layer { bad } else { "[filesystem]" }));
        let error = stacked(texts.into(), NONE).unwrap_err();
        assert_eq!((error.file(), error.line()), (Some(file), Some(4)), "{error}");
    }
}

#[test]
fn names_of_layers_are_no_other_layers() {
    for (name, why) in
        [("built-in", "reserved"), ("command line", "reserved"), ("preset:npm", "too")]
    {
        let mut named = text(Layer::Named, "[limits]\nprocesses = 300");
        named.source.name = name.into();
        let managed = text(Layer::Managed, "[managed]\nonly = ['limits']");
        let error = stacked(vec![managed, named], NONE).unwrap_err();
        assert_eq!(error.code(), "beyond-managed", "{why}");
    }
    let twice = vec![
        text(Layer::Managed, ""),
        LayerText { layer: Layer::Named, ..text(Layer::Managed, "") },
    ];
    assert_eq!(Document::stack(twice).unwrap_err().code(), "layer-twice");
}

/// What goes beyond: both rules are named, with their lines.
#[test]
#[expect(clippy::too_many_lines, reason = "a table: one row a rule")]
fn nothing_below_goes_beyond() {
    let grant = "[filesystem]\ngrant = [{ path = '/srv/a', mode = 'read-write' }]";
    let of = |path: &str, mode: &str| {
        format!("[filesystem]\ngrant = [{{ path = '{path}', mode = '{mode}' }}]")
    };
    let home = "{ path = '/home/u/w' }";
    let mounts = |list: &str| format!("[managed]\nmounts = [{list}]");
    let host = "[[network.allow]]\nhost = 'a.test'";
    let beyond = Some("beyond-managed");
    let rows: &[(&str, &str, Option<&str>, &str)] = &[
        ("[managed]\nonly = ['network.allow']", host, beyond, "E25: no block above"),
        ("[managed]\nonly = ['network.allow']", "", None, "E25: nor below"),
        (
            "[managed]\nonly = ['network.allow']\n[[network.allow]]\nhost = 'b.test'",
            "",
            None,
            "own",
        ),
        (
            "[managed]\nonly = ['network.allow']",
            "[[network.deny]]\nhost = 'a.test'",
            None,
            "narrows",
        ),
        ("[managed]\nonly = ['network.allow']", "extends = ['preset:npm']", beyond, "by a preset"),
        ("", host, None, "the twin"),
        ("[managed]\nonly = ['extends']", "extends = ['preset:node']", beyond, "presets"),
        ("[managed]\nonly = ['filesystem.grant']", grant, beyond, "grants"),
        (
            "[managed]\nonly = ['filesystem.grant']",
            "extends = ['preset:node']",
            beyond,
            "of presets",
        ),
        ("", grant, None, "the twin"),
        ("[managed]\nonly = ['environment']", "[environment]\nallow = ['FOO']", beyond, "passed"),
        ("[managed]\nonly = ['environment']", "[environment]\nset = { X = '1' }", beyond, "set"),
        (
            "[managed]\nonly = ['environment']",
            "[environment]\ndangerous_allow = ['A_TOKEN']",
            beyond,
            "",
        ),
        ("[managed]\nonly = ['environment']", "[environment]\nallow = []", None, "narrows"),
        ("[managed]\nonly = ['isolation']", "isolation = 'process'", None, "the same"),
        ("[managed]\nonly = ['isolation']", "isolation = 'gvisor'", beyond, "another kernel"),
        ("isolation = 'gvisor'", "isolation = 'process'", beyond, "a ceiling by itself"),
        ("oversight = 'tenant'", "oversight = 'developer'", beyond, "what is written would stay"),
        ("oversight = 'tenant'", "isolation = 'process'", beyond, "a ceiling by itself"),
        ("isolation = 'process'", "isolation = 'gvisor'", None, "further"),
        (
            "oversight = 'tenant'\n[managed]\nonly = ['isolation']",
            "oversight = 'developer'",
            beyond,
            "by another word",
        ),
        (
            "oversight = 'tenant'\n[managed]\nonly = ['isolation']",
            "isolation = 'gvisor'",
            None,
            "the same by another word",
        ),
        ("[managed]\nonly = ['jail']\n", "jail = 'native'", beyond, "a forced jail"),
        ("jail = 'native'\n[managed]\nonly = ['jail']", "jail = 'native'", None, "the same"),
        (
            "[managed]\nonly = ['filesystem.home']",
            "[filesystem]\nhome = 'private'",
            None,
            "the same",
        ),
        (
            "[managed]\nonly = ['filesystem.home']\n[filesystem]\nhome = 'project'",
            "[filesystem]\nhome = 'private'",
            beyond,
            "another",
        ),
        (
            "[managed]\nonly = ['filesystem.workspace']",
            "[filesystem]\nworkspace = { path = '.' }",
            None,
            "",
        ),
        (
            "[managed]\nonly = ['filesystem.workspace']",
            "[filesystem]\nworkspace = { path = '/srv/a' }",
            beyond,
            "",
        ),
        (
            "[managed]\nonly = ['network.publish']",
            "[network]\npublish = ['3000']",
            beyond,
            "publish",
        ),
        (
            "[managed]\nonly = ['network.upstream_proxy']",
            "[network]\nupstream_proxy = 'http://p.test:1'",
            beyond,
            "",
        ),
        ("[managed]\nonly = ['network.trust_ca']", "[network]\ntrust_ca = ['p']", beyond, ""),
        ("[managed]\nonly = ['limits']", "[limits]\nprocesses = 5", beyond, "even less"),
        ("[managed]\nonly = ['output']", "[output]\nescape_sequences = 'always'", beyond, "output"),
        ("[managed]\nonly = ['output']", "[output]\nmax_bytes = 4096", beyond, "output"),
        ("[managed]\nonly = ['output']", "[output]\nredact = true", None, "the same"),
        (
            "[managed]\nonly = ['credentials']",
            "[credentials.x]\nsource = { env = 'X' }\ninject = { header = 'x-k' }",
            beyond,
            "",
        ),
        ("[managed]\nonly = ['sockets.allow']", "[sockets]\nallow = ['s']", beyond, ""),
        (&mounts(home), "", None, "the workspace itself"),
        (&mounts("{ path = '~/w' }"), "", None, "of the listed home"),
        (&mounts("{ path = '/srv' }"), "", beyond, "the workspace lies elsewhere"),
        (&mounts(""), "", beyond, "an empty list allows nothing"),
        (&mounts("{ path = '/home/u/w', mode = 'read-only' }"), "", beyond, "at most"),
        (
            &mounts("{ path = '/home/u/w', mode = 'read-only' }"),
            "[filesystem]\nworkspace = { path = '.', mode = 'read-only' }",
            None,
            "no more",
        ),
        (
            &mounts(&format!("{home}, {{ path = '/srv', mode = 'read-only' }}")),
            grant,
            beyond,
            "read-write",
        ),
        (
            &mounts(&format!("{home}, {{ path = '/srv', mode = 'read-only' }}")),
            &of("/srv/a", "read-only"),
            None,
            "",
        ),
        (
            &mounts(&format!(
                "{home}, {{ path = '/srv' }}, {{ path = '/srv/a', mode = 'read-only' }}"
            )),
            grant,
            beyond,
            "the innermost",
        ),
        (
            &mounts(&format!(
                "{home}, {{ path = '/srv' }}, {{ path = '/srv/a', mode = 'read-only' }}"
            )),
            &of("/srv", "read-write"),
            beyond,
            "what is in it",
        ),
        (
            &mounts(&format!("{home}, {{ path = '/led' }}")),
            &of("/elsewhere/x", "read-only"),
            Some("managed-mount-link"),
            "who owns the link would say where it leads",
        ),
        (
            &mounts(&format!("{home}, {{ path = '/srv' }}")),
            &of("/elsewhere", "read-only"),
            beyond,
            "elsewhere",
        ),
        ("[limits]\nprocesses = 100", "[limits]\nprocesses = 101", beyond, "more"),
        ("[limits]\nprocesses = 100", "[limits]\nprocesses = 99", None, "less"),
        (
            "[limits]\nmemory = '1GiB'",
            "[limits]\nmemory = { max = '1GiB', hold = 'best-effort' }",
            beyond,
            "need not hold",
        ),
        (
            "[limits]\nmemory = { max = '1GiB', hold = 'best-effort' }",
            "[limits]\nmemory = '1GiB'",
            None,
            "surer",
        ),
        ("[output]\nmax_bytes = 4096", "[output]\nmax_bytes = 4097", beyond, "more"),
        (
            "[managed]\ndangerous = false",
            "[environment]\ndangerous_allow = ['NOT_SET']",
            beyond,
            "whether it is set or not",
        ),
        ("[managed]\ndangerous = false", "[output]\nredact = false", beyond, ""),
        ("[managed]\ndangerous = false", "[output]\nescape_sequences = 'raw'", beyond, ""),
        (
            "[managed]\ndangerous = false",
            "[[network.allow]]\nhost = 'a.test'\ndial = '10.0.0.1:1'",
            beyond,
            "",
        ),
        (
            "[managed]\ndangerous = false",
            "[[network.allow]]\nhost = '*.github.io'\ndangerous_wide_wildcard = true",
            beyond,
            "",
        ),
        ("[managed]\ndangerous = true", "[output]\nredact = false", None, "the twin"),
        ("[managed]\ndangerous = false\n[output]\nredact = false", "", None, "its own"),
        (
            "[filesystem]\nhide = ['/srv/a/s']",
            &of("/srv/a/s/x", "read-only"),
            beyond,
            "would show again",
        ),
        (
            "[filesystem]\nmask = ['/srv/a/s']",
            &of("/srv/a/s/x", "read-only"),
            beyond,
            "would show again",
        ),
        ("[filesystem]\nhide = ['/srv/a/s']", &of("/srv/a", "read-write"), None, "stays hidden"),
        (
            "",
            "[filesystem]\nhide = ['/srv/a/s']\ngrant = [{ path = '/srv/a/s/x', mode = 'read-only' }]",
            None,
            "one's own",
        ),
    ];
    held(rows);
}

/// Each row: the managed text, the user's, the code of the refusal, and why.
fn held(rows: &[(&str, &str, Option<&str>, &str)]) {
    let mut others = Vec::new();
    for (managed, user, want, why) in rows {
        let texts = vec![text(Layer::Managed, managed), text(Layer::User, user)];
        let got = stacked(texts, NONE);
        let code = got.as_ref().err().map(PolicyError::code);
        if code != *want {
            others.push(format!("{why}: {managed} / {user}: {:?}", got.as_ref().err()));
            continue;
        }
        if let Err(error) = got {
            let said = error.to_string();
            assert!(said.contains(&format!("{MANAGED}:")), "the ceiling: {said}");
            if *want != Some("beyond-managed") {
                assert!(error.hint().contains("write `/elsewhere`"), "{}", error.hint());
                continue;
            }
            assert!(error.hint().contains(&format!("{MANAGED}:")), "{}", error.hint());
            let of_workspace = said.contains("filesystem.workspace (built-in)");
            assert!(of_workspace || error.file() == Some(USER), "what exceeds it: {said}");
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
}

#[test]
fn flags_go_no_further() {
    let rows: &[(&str, Flags, &str)] = &[
        ("only = ['network.allow']", |d| d.add_allowed("a.test"), "--allow"),
        ("only = ['network.allow']", Document::ask_outside, "--approve"),
        ("only = ['network.allow']", |d| d.add_preset("npm"), "--preset"),
        ("only = ['extends']", |d| d.add_preset("base"), "--preset"),
        ("only = ['filesystem.grant']", |d| d.add_grant("/srv:ro"), "--grant"),
        ("only = ['filesystem.workspace']", |d| d.set_workspace("/srv/a"), "--workspace"),
        ("only = ['environment']", |d| d.add_variable("FOO"), "--env"),
        ("only = ['environment']", |d| d.add_variable("X=1"), "--env"),
        ("only = ['jail']", |d| d.set_jail("native"), "--jail"),
        ("only = ['network.publish']", |d| d.add_published("3000"), "--publish"),
        ("only = ['output']", |d| d.set_output("raw"), "--output"),
        ("dangerous = false", |d| d.set_output("raw"), "--output"),
        ("dangerous = false", |d| d.add_dangerous_variable("A_TOKEN"), "--dangerous-env"),
        ("dangerous = false", |d| d.add_best_effort("absent"), "--best-effort"),
        ("dangerous = false", Document::ask_outside, "--approve"),
        ("mounts = [{ path = '~/w' }]", |d| d.add_grant("/srv:ro"), "--grant"),
        ("only = []\n[limits]\nprocesses = 9", |d| d.set_limit("processes=10"), "--limit"),
    ];
    for (managed, flags, flag) in rows {
        let texts = vec![text(Layer::Managed, &format!("[managed]\n{managed}"))];
        let error = stacked(texts, *flags).unwrap_err();
        assert_eq!(error.code(), "beyond-managed", "{managed} {flag}: {error}");
        assert!(error.to_string().contains(flag), "{error}");
        let texts = vec![text(Layer::Managed, "[managed]")];
        stacked(texts, *flags).unwrap_or_else(|error| panic!("{flag} without: {error}"));
    }
}

#[test]
fn what_a_project_may_say() {
    for (rules, line, why) in [
        ("[managed]\nonly = []", 2, "a ceiling"),
        ("[credentials.x]\nsource = { command = ['sh'] }", 2, "P04: a program"),
        ("[credentials.x]\nsource = { env = 'X' }", 2, "a secret"),
        ("[credentials]\n", 2, "no table of them at all"),
        ("[environment]\ndangerous_allow = []", 3, "secrets inside"),
        ("[network]\nupstream_proxy = 'http://evil.test:1'", 3, "who carries what it sends"),
        ("[network]\ntrust_ca = ['ca.pem']", 3, "a file of its own that nobody has read"),
        ("[[network.allow]]\nhost = 'a.test'\ncredential = 'x'", 4, "P01: another host for a key"),
        (
            "[[network.allow]]\nhost = 'a.test'\n[[network.allow]]\nhost = 'b.test'\ndial = '127.0.0.1:1'",
            6,
            "",
        ),
        ("[network]\nallow = [{ host = 'a.test', dial = '127.0.0.1:1' }]", 3, "inline"),
        ("[[network.allow]]\nhost = '*.github.io'\ndangerous_wide_wildcard = true", 4, "too wide"),
        ("[output]\nredact = false", 3, "nobody looks"),
        ("best_effort = ['absent']", 2, "a clause is given up"),
        ("jail = 'landlock'", 2, "one that holds less"),
        ("rootfs = 'image'", 2, "programs of its own in the place of the system's"),
        ("[output]\nescape_sequences = 'raw'", 3, "acts on the terminal"),
    ] {
        let error = Document::stack(vec![text(Layer::Project, rules)]).unwrap_err();
        let want =
            if rules.starts_with("[managed]") { "managed-elsewhere" } else { "not-a-projects" };
        assert_eq!((error.code(), error.line()), (want, Some(line)), "{why}: {rules}: {error}");
    }
    for key in ["ripgrep = '/tmp/rg'", "bwrap = './bwrap'", "[tools]\ngit = 'x'", "hooks = ['x']"] {
        let error = Document::stack(vec![text(Layer::Project, key)]).unwrap_err();
        assert_eq!(error.code(), "unknown-key", "P04: {key}");
    }
    for rules in [
        "extends = ['preset:node']",
        "isolation = 'process'",
        "[filesystem]\nhide = ['h']\nhome = 'private'",
        "[environment]\nallow = ['FOO']\nset = { CI = '1' }",
        "[[network.allow]]\nhost = 'a.test'\nmethods = ['GET']\ndangerous_wide_wildcard = false",
        "[network]\npublish = ['3000']",
        "[limits]\nprocesses = 9",
        "[output]\nredact = true\nescape_sequences = 'always'\nmax_bytes = 4096",
    ] {
        stacked(vec![text(Layer::Project, rules)], NONE).unwrap_or_else(|e| panic!("{rules}: {e}"));
    }
    for (user, project, refused) in [
        ("isolation = 'gvisor'", "isolation = 'process'", true),
        ("oversight = 'tenant'", "isolation = 'process'", true),
        ("oversight = 'tenant'", "oversight = 'developer'", true),
        ("isolation = 'gvisor'\noversight = 'tenant'", "oversight = 'developer'", true),
        ("isolation = 'process'", "isolation = 'gvisor'\noversight = 'tenant'", false),
    ] {
        let texts = vec![text(Layer::User, user), text(Layer::Project, project)];
        let code = Document::stack(texts).err().map(|error| error.code());
        assert_eq!(code, refused.then_some("not-a-projects"), "{user} / {project}");
    }
    for layer in [Layer::User, Layer::Named] {
        let error = Document::stack(vec![text(layer, "[managed]\nonly = []")]).unwrap_err();
        assert_eq!((error.code(), error.line()), ("managed-elsewhere", Some(2)));
    }
}

#[test]
fn what_a_managed_text_may_say() {
    for (rules, code) in [
        ("only = ['network.alow']", "managed-only-unknown"),
        ("only = [1]", "wrong-type"),
        ("mounts = [{ path = 'src' }]", "managed-path-relative"),
        ("mounts = [{ path = '/a', mode = 'rw' }]", "mode-unknown"),
        ("mounts = [{ path = '/a', optional = true }]", "unknown-key"),
        ("audit = 'log'", "managed-path-relative"),
        ("dangerous = 'no'", "wrong-type"),
        ("forced = true", "unknown-key"),
    ] {
        let managed = text(Layer::Managed, &format!("[managed]\n{rules}"));
        assert_eq!(Document::stack(vec![managed]).unwrap_err().code(), code, "{rules}");
    }
    let error = Document::stack(vec![text(Layer::Managed, "[managed]\nonly = ['network.alow']")]);
    assert_eq!(error.unwrap_err().hint(), "write `network.allow`");
}

/// What is hidden above stays so whatever is granted around it.
#[test]
fn what_is_hidden_above_is_hidden() {
    let managed =
        text(Layer::Managed, "[filesystem]\nhide = ['/srv/a/s']\nprotect = ['/home/u/w/p']");
    let user = "[filesystem]\ngrant = [{ path = '/srv', mode = 'read-write' }]";
    let policy = stacked(vec![managed, text(Layer::User, user)], NONE).unwrap();
    let rules = Rules::of(&policy);
    for (act, path, want) in [
        (Act::Read, "/srv/a/f", true),
        (Act::Read, "/srv/a/s/x/f", false),
        (Act::Write, "/home/u/w/f", true),
        (Act::Write, "/home/u/w/p", false),
    ] {
        let verdict = decide(&rules, Request { act, path: Path::new(path) });
        assert_eq!(matches!(verdict, Verdict::Allow(_)), want, "{act:?} {path}");
    }
}

mod around;
mod stacks;
