//! C23, C24: files that hold secrets, in the home and in the work tree.

use std::fs;

use crate::internet::Internet;
use crate::lodging::{BOTH, SECRET, bound, credential};
use crate::support::finish;

/// The file of a project: comments, a key of ours under its variable's name, and others.
const SETTINGS: &str = "# how to get one: ask hunter2\nexport API_KEY='KEY'\n\nDATABASE_URL=postgres://me:hunter2@db.test/x\nDEBUG = true\n";
/// What terraform writes down.
const STATE: &str =
    "{\n  \"version\": 4,\n  \"password\": \"hunter2\",\n  \"API_KEY\": \"KEY\"\n}\n";

/// Reads both as programs do, and asks with the key that it found.
const ACT: &str = r"
text = open('.env').read(); state = open('terraform.tfstate').read()
found = dict(re.findall(r'(\w+) ?= ?(\S+)', text))
key = found['API_KEY'].strip(chr(39))
status, _, _ = ask(get('/v1', more=f'x-api-key: {key}\r\n'))
print(status, key == os.environ['API_KEY'], state.count(key), 'hunt' + 'er2' in text + state, sorted(found), found['DEBUG'], sep='|')
print(subprocess.run(['sh', '-c', '. ./.env; test $API_KEY = ' + key + ' && echo the same'], stdout=subprocess.PIPE, text=True).stdout, end='')
for name in ('.env', 'terraform.tfstate'):
    try: open(name, 'a').close(); print('written')
    except OSError as e: print(e.errno)
print(sorted(json.loads(state)))
";

/// C24: a masked file shows its names, what stands in for a credential, and no other value.
#[test]
fn a_masked_file_shows_what_stands_in_and_the_host_gets_the_real_thing() {
    let Some(net) = Internet::take() else { return };
    let rules = format!(
        "{}{}[filesystem]\nmask = ['**/.env', 'terraform.tfstate']\n",
        bound(""),
        credential("header = 'x-api-key'")
    );
    let names = ["home/src/app/.env", "home/src/app/terraform.tfstate"];
    let put = || {
        net.place.write(names[0], &SETTINGS.replace("KEY'", &format!("{SECRET}'")));
        net.place.write(names[1], &STATE.replace("\"KEY\"", &format!("\"{SECRET}\"")));
    };
    put();
    let outside = format!("import os; os.environ['API_KEY'] = {SECRET:?}\n{ACT}");
    let ran = net.speaks_outside(&outside).works("without a wall");
    let members = "['API_KEY', 'password', 'version']";
    let all = "['API_KEY', 'DATABASE_URL', 'DEBUG']";
    let want = format!("200|True|1|True|{all}|true\nthe same\nwritten\nwritten\n{members}\n");
    assert_eq!(ran.out, want, "{ran:?}");
    for way in BOTH {
        put();
        net.forget();
        let script = format!("{}{}", way.1, net.speaking("act.py", ACT));
        let ran = finish(net.lent(60, &rules).args(["sh", "-c", &script])).works(way.0);
        let want = format!("200|True|1|False|{all}|xxxx\nthe same\n13\n13\n{members}\n");
        assert_eq!(ran.out, want, "{}: {ran:?}", way.0);
        let asked = net.asked();
        assert_eq!(asked.len(), 1, "{}: {asked:?}", way.0);
        assert!(asked[0].head.contains(&format!("x-api-key: {SECRET}\r\n")), "the real thing");
        for name in names {
            let path = net.place.root.join(name);
            assert!(fs::read_to_string(&path).unwrap().contains(SECRET), "as it was");
            fs::remove_file(path).unwrap();
        }
        // Nor is what was in the files anywhere that cofferdam wrote.
        net.holds_no_secret(&ran, SECRET);
        net.holds_no_secret(&ran, "hunter2");
    }
}

/// Without a credential that names it a setting is masked as every other.
#[test]
fn what_no_credential_names_is_masked() {
    let Some(net) = Internet::take() else { return };
    net.place.write("home/src/app/.env", &format!("OTHER_KEY={SECRET}\nMY_API_KEY={SECRET}\n"));
    let act = "print(set(re.sub('[-_=x0\\n]', '', open('.env').read()).split()))";
    let outside = net.speaks_outside(act).works("without a wall");
    assert!(outside.out.contains("R34lS3cr3t"), "{outside:?}");
    let rules = format!(
        "{}{}[filesystem]\nmask = ['.env']\n",
        bound(""),
        credential("header = 'x-api-key'")
    );
    for way in BOTH {
        let script = format!("{}{}", way.1, net.speaking("act.py", act));
        let ran = finish(net.lent(60, &rules).args(["sh", "-c", &script])).works(way.0);
        assert_eq!(ran.out, "{'OTHERKEYMYAPIKEY'}\n", "{}: names alone: {ran:?}", way.0);
    }
}

/// Where programs keep keys, tokens and what was typed.
const KEPT: &[&str] = &[
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".docker/config.json",
    ".kube/config",
    ".config/google-chrome/Default/Cookies",
    ".config/chromium/Default/Login Data",
    ".mozilla/firefox/a.default/cookies.sqlite",
    ".bash_history",
    ".zsh_history",
    ".python_history",
    ".psql_history",
    ".pgpass",
    ".my.cnf",
    ".git-credentials",
    ".config/gh/hosts.yml",
    ".config/gcloud/credentials.db",
    ".azure/msal_token_cache.json",
    ".aws/credentials",
    ".ssh/id_ed25519",
    ".gnupg/private-keys-v1.d/a.key",
    ".cargo/credentials.toml",
    ".gem/credentials",
    ".m2/settings.xml",
    ".terraform.d/credentials.tfrc.json",
    ".claude/.credentials.json",
    ".codex/auth.json",
];

/// C23: none of them is there inside, by its name or in what its directory lists.
#[test]
fn files_of_the_home_that_hold_keys_are_absent() {
    let Some(net) = Internet::take() else { return };
    for name in KEPT {
        net.place.write(&format!("home/{name}"), "hunter2-of-the-home\n");
    }
    let act = format!(
        "
for name in {KEPT:?}:
    try: print(open(os.path.expanduser('~/' + name)).read().strip(), name)
    except OSError as e: print(e.errno, name)
for folder, _, files in os.walk(os.path.expanduser('~')):
    for name in files:
        try: found = b'hunter2-of-the-home' in open(os.path.join(folder, name), 'rb').read()
        except OSError: continue
        if found and not name.endswith('act.py'): print('found', name)
"
    );
    let outside = net.speaks_outside(&act).works("without a wall");
    for name in KEPT {
        assert!(outside.out.contains(&format!("hunter2-of-the-home {name}\n")), "{outside:?}");
    }
    assert_eq!(outside.out.matches("found ").count(), KEPT.len(), "{outside:?}");
    let rules = format!("{}{}", bound(""), credential("header = 'x-api-key'"));
    for way in BOTH {
        let ran = net.bears(&rules, way, &act).works(way.0);
        let want: String = KEPT.iter().map(|name| format!("2 {name}\n")).collect();
        assert_eq!(ran.out, want, "{}: {ran:?}", way.0);
    }
}
