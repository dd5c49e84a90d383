//! C21: tokens that are exchanged for new ones while the session runs. Who gives them out is played by
//! tokens.py, over TLS; the sandbox holds what stands in, before and after.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use cofferdam_gateway::vault::{Name, Vault};

use crate::internet::Internet;
use crate::lodging::BOTH;
use crate::support::{Ran, finish, programs};

/// What both tokens are at first, as the person's vault has them.
const ACCESS: &str = "at-live-R34lT0ken0000OfTh1sP3rson-AbCdEfGhIjKl0123456789";
const REFRESH: &str = "rt-live-R34lT0ken0000OfTh1sP3rson-MnOpQrStUvWx9876543210";
/// What all of these tokens hold, and nothing that stands in for one.
const KNOWN: [&str; 2] = ["R34lT0ken", "OfTh1sP3rson"];
const CLIENT: &str = "cs-live-R34lS3cr3tOfTh1sCl1ent-0123456789";
/// Somebody else's.
const OTHERS: &str = "rt-live-0th3rP3rsonsT0ken0000000-MnOpQrStUvWx9876543210";

/// Python that asks the API, and for tokens.
const SPEAKS: &str = "
import urllib.parse
def api(token):
    return get('/v1', more=f'Authorization: Bearer {token}\\r\\n')
def form(path='plain', more='', **fields):
    body = urllib.parse.urlencode(fields).encode()
    more = f'Content-Type: application/x-www-form-urlencoded\\r\\n{more}'
    return get(f'/played/tokens/{path}', method='POST', more=more, body=body)
def asked(path='plain', kind='application/json', **fields):
    body = json.dumps({'grant_type': 'refresh_token', 'client_id': 'c', **fields}).encode()
    return get(f'/played/tokens/{path}', method='POST', more=f'Content-Type: {kind}\\r\\n', body=body)
seen = open('seen.txt', 'ab')
def keep(data):
    status, fields, body = ask(data)
    seen.write(repr((status, fields)).encode() + body + b'\\n'); seen.flush()
    return status, fields, body
kept = json.load(open(os.path.expanduser('~/.tool/login.json')))
seen.write(json.dumps(kept).encode())
";

/// The login of a tool: two tokens of one entry, and where they are asked for and used.
fn login(source: &str) -> String {
    format!(
        "[[network.allow]]\nhost = 'new.test'\nmethods = ['POST']\npaths = ['/played/tokens/*']\ncredential = 'login-refresh'\n\
         [[network.allow]]\nhost = 'new.test'\npaths = ['/v1']\ncredential = 'login'\n\
         [credentials.login]\nsource = {{ {source}, member = 'oauth.access' }}\ninject = {{ bearer = true }}\n\
         files = {{ '~/.tool/login.json' = '{{\"a\": \"{{login}}\", \"r\": \"{{login-refresh}}\"}}' }}\n\
         [credentials.login-refresh]\nsource = {{ {source}, member = 'oauth.refresh' }}\ninject = {{ json = 'refresh_token' }}\n\
         oauth = {{ access_token = 'login' }}\n"
    )
}

fn text(access: &str, refresh: &str) -> String {
    format!("{{\"oauth\": {{\"access\": \"{access}\", \"refresh\": \"{refresh}\"}}, \"kept\": 1}}")
}

impl Internet {
    /// Who gives out tokens begins anew.
    fn gives_tokens(&self) {
        let played = self.www().join("played");
        fs::create_dir_all(&played).unwrap();
        fs::write(played.join("tokens.py"), include_str!("tokens.py")).unwrap();
        fs::write(played.join("tokens.state"), format!("{REFRESH} 0")).unwrap();
        fs::write(self.place.home.join("src/app/seen.txt"), "").unwrap();
    }

    fn stores(&self, name: &str, value: &str) {
        let mut command = self.command(programs().join("cofferdam"));
        command.args(["vault", "set", name]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(value.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    fn vault(&self) -> std::path::PathBuf {
        fs::canonicalize(self.place.home.join(".config/cofferdam/vault")).unwrap()
    }

    fn stored(&self, name: &str) -> String {
        let opened = Vault::at(self.vault()).open(None).unwrap();
        let secret = opened.secret(&Name::parse(name).unwrap()).unwrap();
        String::from_utf8(secret.expose().to_vec()).unwrap()
    }

    /// Nothing that the sandbox saw, wrote or said, and nothing of cofferdam's, has a piece of any real token.
    #[track_caller]
    fn holds_no_token(&self, ran: &Ran) {
        for piece in KNOWN {
            self.holds_no_secret(ran, piece);
        }
        self.holds_no_secret(ran, "R34lS3cr3tOfTh1sCl1ent");
    }

    /// What bore an identity at the API, in order.
    fn borne(&self) -> Vec<String> {
        let asked = self.asked();
        let at_api = asked.iter().filter(|one| one.target == "/v1");
        let bearer = |head: &str| {
            let line =
                head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization"));
            line.and_then(|line| line.rsplit(' ').next()).unwrap_or_default().trim().to_owned()
        };
        at_api.map(|one| bearer(&one.head)).collect()
    }

    /// Where tokens were kept, in order.
    fn kept(&self) -> Vec<String> {
        let word = |event: &serde_json::Value| event["kept"].as_str().unwrap().to_owned();
        self.events("credential-refreshed").iter().map(word).collect()
    }
}

fn access(number: usize) -> String {
    ACCESS.replace("0000", &format!("{number:04}"))
}

fn refresh(number: usize) -> String {
    REFRESH.replace("0000", &format!("{number:04}"))
}

const REFRESHES: &str = "
def renew(token):
    status, fields, body = keep(asked(refresh_token=token))
    new = json.loads(body)
    print(status, fields.get('set-cookie', '-'), new['expires_in'], new['account']['again'] == 'is ' + new['access_token'], flush=True)
    return new
print(keep(api(kept['a']))[0])
one = renew(kept['r'])
print(keep(api(one['access_token']))[0], one['access_token'] != kept['a'], one['refresh_token'] != kept['r'])
two = renew(one['refresh_token'])
# Who has not heard of the newest goes on.
print(keep(api(two['access_token']))[0], keep(api(one['access_token']))[0], keep(api(kept['a']))[0])
import base64
claims = json.loads(base64.urlsafe_b64decode(two['id_token'].split('.')[1] + '=='))
print(claims['email'], claims['number'], len(two['id_token'].split('.')))
";

#[test]
fn c21_tokens_are_refreshed_and_only_stand_ins_enter() {
    let Some(net) = Internet::take() else { return };
    let act = format!("{SPEAKS}{REFRESHES}");
    net.gives_tokens();
    // Without a wall the tokens themselves come, and are found.
    net.place
        .write("home/.tool/login.json", &format!("{{\"a\": \"{ACCESS}\", \"r\": \"{REFRESH}\"}}"));
    let outside = net.speaks_outside(&act).works("without a wall");
    assert!(outside.out.ends_with("somebody@example.test 2 3\n"), "{outside:?}");
    let seen = net.place.read("home/src/app/seen.txt");
    assert!(seen.contains(&access(2)) && seen.contains(&refresh(2)), "the search finds: {seen}");
    fs::remove_dir_all(net.place.home.join(".tool")).unwrap();
    for way in BOTH {
        net.gives_tokens();
        net.stores("login", &text(ACCESS, REFRESH));
        let before = net.kept().len();
        net.forget();
        let ran = net.bears(&login("vault = 'login'"), way, &act).works(way.0);
        let again = "200 - 3600 True\n";
        let want =
            format!("200\n{again}200 True True\n{again}200 200 200\nsomebody@example.test 2 3\n");
        assert_eq!(ran.out, want, "{}: {ran:?}", way.0);
        net.holds_no_token(&ran);
        let want = [ACCESS.to_owned(), access(1), access(2), access(2), access(2)];
        assert_eq!(net.borne(), want, "{}: the API sees the newest", way.0);
        assert_eq!(net.stored("login"), text(&access(2), &refresh(2)), "{}: the vault", way.0);
        assert_eq!(net.kept().split_off(before), ["vault", "vault"], "each is an event");
        // The next session begins where this one has ended.
        let act = format!("{SPEAKS}print(keep(asked(refresh_token=kept['r']))[0])");
        let ran = net.bears(&login("vault = 'login'"), way, &act).works("the next session");
        assert_eq!(ran.out, "200\n", "{ran:?}");
        assert_eq!(net.stored("login"), text(&access(3), &refresh(3)));
        net.holds_no_token(&ran);
    }
}

#[test]
fn the_same_in_http_2() {
    let Some(net) = Internet::take() else { return };
    let act = format!(
        "{SPEAKS}
def renew(token, path='plain'):
    body = json.dumps(dict(grant_type='refresh_token', refresh_token=token)).encode()
    status, fields, body = two(f'/played/tokens/{{path}}', more=[('content-type', 'application/json')], method='POST', body=body)
    seen.write(repr((status, fields)).encode() + body)
    print(status, fields.get('x-cofferdam', '-'), fields.get('set-cookie', '-'), flush=True)
    return json.loads(body)
new = renew(renew(kept['r'])['refresh_token'], 'gzip')
print(two('/v1', more=[('authorization', 'Bearer ' + new['access_token'])])[0])
renew({OTHERS:?})
renew(kept['r'], 'more'), renew(kept['r'], 'html')
"
    );
    for way in BOTH {
        net.gives_tokens();
        net.stores("login", &text(ACCESS, REFRESH));
        net.forget();
        let ran = net.bears(&login("vault = 'login'"), way, &act).works(way.0);
        let want = "200 - -\n200 - -\n200\n403 foreign-credential -\n502 oauth-unread -\n502 oauth-unread -\n";
        assert_eq!(ran.out, want, "{}: {ran:?}", way.0);
        net.holds_no_token(&ran);
        assert_eq!(net.borne(), [access(2)], "{}", way.0);
        assert_eq!(net.asked().len(), 5, "{}: the endpoint saw nothing of the foreign one", way.0);
        assert_eq!(net.stored("login"), text(&access(3), &refresh(3)), "{}: the vault", way.0);
    }
}

/// Whoever brings a refresh token of their own would make the session somebody else's from then on.
#[test]
fn nothing_but_its_own_is_exchanged() {
    let Some(net) = Internet::take() else { return };
    let act = format!(
        "{SPEAKS}
own, other = kept['r'], {OTHERS:?}
as_form = 'application/x-www-form-urlencoded'
hidden = {{'&refresh_token=' + other + '&grant_type=refresh_token&x': 'y'}}
table([
    asked(refresh_token=other),
    asked(refresh_token=own, client_secret='a-secret-of-theirs'),
    asked(refresh_token=own, grant_type='authorization_code'),
    asked(refresh_token=own, subject_token=other),
    asked(refresh_token=own, **hidden),
    asked(refresh_token=own, kind=as_form),
    asked(refresh_token=own, kind='application/json; charset=utf-7'),
    asked('plain?device_code=of-theirs', refresh_token=own),
    asked(refresh_token=kept['a']),
    form(grant_type='refresh_token', refresh_token=own),
    api(own),
    asked(refresh_token=own),
])
"
    );
    net.gives_tokens();
    net.stores("login", &text(ACCESS, REFRESH));
    for way in BOTH {
        net.forget();
        let before = net.events("connection").len();
        let ran = net.bears(&login("vault = 'login'"), way, &act).works(way.0);
        let refused = "403 foreign-credential\n".repeat(11);
        assert_eq!(ran.out, format!("{refused}200 -\n"), "{}: {ran:?}", way.0);
        assert_eq!(net.asked().len(), 1, "{}: the endpoint saw its own alone", way.0);
        let events = net.events("connection").split_off(before);
        let alarms = events.iter().filter(|event| event["code"] == "foreign-credential");
        assert_eq!(alarms.count(), 11, "{}: each an alarm", way.0);
        net.holds_no_token(&ran);
    }
}

/// An answer goes inside with stand-ins, or not at all; what it brought is not lost.
#[test]
fn an_answer_that_cannot_be_read_is_refused() {
    let Some(net) = Internet::take() else { return };
    let act = format!(
        "{SPEAKS}
for path in ('factor', 'plain', 'redirect', 'gzip', 'same', 'html', 'nested', 'more', 'short', 'large', 'bomb'):
    status, fields, body = keep(asked(path, refresh_token=kept['r']))
    print(path, status, fields.get('x-cofferdam', '-'), flush=True)
    kept = json.load(open(os.path.expanduser('~/.tool/login.json')))
status, fields, body = keep(asked(refresh_token=kept['r']))
print(status, json.loads(body)['error'], len(json.loads(body)['error_description']))
"
    );
    net.gives_tokens();
    net.stores("login", &text(ACCESS, REFRESH));
    let ran = net.bears(&login("vault = 'login'"), BOTH[0], &act).works("answers");
    let want = "factor 502 oauth-unread\nplain 200 -\nredirect 302 -\ngzip 200 -\nsame 200 -\nhtml 502 oauth-unread\nnested 400 -\nmore 400 -\nshort 400 -\n\
                large 400 -\nbomb 400 -\n400 invalid_grant 65\n";
    assert_eq!(ran.out, want, "what was lost with an answer that nobody could read: {ran:?}");
    net.holds_no_token(&ran);
    for (path, kept) in [("nested", 0), ("more", 1), ("short", 1), ("large", 0), ("bomb", 0)] {
        net.gives_tokens();
        net.stores("login", &text(ACCESS, REFRESH));
        let act = format!(
            "{SPEAKS}
status, fields, body = keep(asked('{path}', refresh_token=kept['r']))
print(status, fields.get('x-cofferdam', '-'), b'token' in body)
print(keep(asked(refresh_token=kept['r']))[0])
"
        );
        let ran = net.bears(&login("vault = 'login'"), BOTH[0], &act).works(path);
        let again = if kept == 1 { "200" } else { "400" };
        let want = format!("502 oauth-unread True\n{again}\n");
        assert_eq!(ran.out, want, "{path}: {ran:?}");
        net.holds_no_token(&ran);
        let (number, both) = (2 * kept, text(&access(2 * kept), &refresh(2 * kept)));
        assert_eq!(net.stored("login"), both, "{path}: number {number} is in the vault");
    }
}

/// Who asks for a token and goes away would end the person's login: the old one is spent, and the new one
/// nobody's.
#[test]
fn who_goes_away_meanwhile_ends_no_login() {
    let Some(net) = Internet::take() else { return };
    let goes = [
        "s = open_tls(); s.sendall(asked('slow', refresh_token=kept['r'])); time.sleep(0.3); s.close()",
        "
import h2.config, h2.connection
s = open_tls(alpn=('h2',))
c = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding='utf-8'))
c.initiate_connection()
body = json.dumps(dict(grant_type='refresh_token', refresh_token=kept['r'])).encode()
c.send_headers(1, [(':method', 'POST'), (':scheme', 'https'), (':authority', 'new.test'), (':path', '/played/tokens/slow'), ('content-type', 'application/json')])
c.send_data(1, body, end_stream=True)
s.sendall(c.data_to_send()); time.sleep(0.3)
c.reset_stream(1, 8); s.sendall(c.data_to_send()); time.sleep(0.1); s.close()",
    ];
    for act in goes {
        net.gives_tokens();
        net.stores("login", &text(ACCESS, REFRESH));
        let before = net.kept().len();
        let act = format!(
            "{SPEAKS}
{act}
time.sleep(3)
print(keep(api(kept['a']))[0], keep(asked(refresh_token=kept['r']))[0])
"
        );
        net.forget();
        let ran = net.bears(&login("vault = 'login'"), BOTH[0], &act).works("goes on");
        assert_eq!(ran.out, "200 200\n", "{ran:?}");
        assert_eq!(net.borne(), [access(1)]);
        assert_eq!(net.stored("login"), text(&access(2), &refresh(2)));
        assert_eq!(net.kept().split_off(before), ["vault", "vault"]);
        net.holds_no_token(&ran);
    }
}

/// A client's secret brings a token that nobody had before.
#[test]
fn client_credentials_bring_what_nobody_had() {
    let Some(net) = Internet::take() else { return };
    let rules = |inject: &str| {
        format!(
            "[[network.allow]]\nhost = 'new.test'\nmethods = ['POST']\npaths = ['/played/tokens/*']\ncredential = 'client'\n\
             [[network.allow]]\nhost = 'new.test'\npaths = ['/v1']\ncredential = 'api'\n\
             [credentials.client]\nsource = {{ env = 'API_SECRET' }}\ninject = {{ {inject} }}\n\
             oauth = {{ access_token = 'api' }}\nfiles = {{ '~/.tool/login.json' = '{{\"c\": \"{{client}}\"}}' }}\n\
             [credentials.api]\nsource = {{ oauth = true }}\ninject = {{ bearer = true }}\n"
        )
    };
    let basic = "header = 'Authorization: Basic ' + base64.b64encode(('app:' + kept['c']).encode()).decode() + '\\r\\n'
def wants(**more): return form(more=header, grant_type='client_credentials', **more)";
    let in_form = "def wants(**more): return form(grant_type='client_credentials', client_id='app', client_secret=kept['c'], **more)";
    for (inject, wants) in [("basic = 'app'", basic), ("form = 'client_secret'", in_form)] {
        let act = format!(
            "{SPEAKS}
import base64
{wants}
print(keep(api('at-live-0th3rP3rsonsT0ken0000'))[0])
status, fields, body = keep(wants(scope='all'))
token = json.loads(body)['access_token']
print(status, len(token), keep(api(token))[0])
print(keep(wants(refresh_token='of-somebody-else'))[0], keep(wants(assertion='of-somebody-else'))[0])
"
        );
        for way in BOTH {
            net.gives_tokens();
            net.forget();
            let before = net.kept().len();
            let script = format!("{}{}", way.1, net.speaking("act.py", &act));
            let mut command = net.lent(60, &rules(inject));
            let ran = finish(command.env("API_SECRET", CLIENT).args(["sh", "-c", &script]));
            let ran = ran.works(inject);
            assert_eq!(ran.out, "403\n200 56 200\n403 403\n", "{inject}, {}: {ran:?}", way.0);
            net.holds_no_token(&ran);
            assert_eq!(net.borne(), [access(1)], "{inject}, {}", way.0);
            assert_eq!(net.kept().split_off(before), ["memory"], "{inject}, {}", way.0);
        }
    }
}

/// Tokens that have no place in a vault end with the session; the record says so.
#[test]
fn without_a_vault_they_end_with_the_session() {
    let Some(net) = Internet::take() else { return };
    let act = format!(
        "{SPEAKS}
new = json.loads(keep(asked(refresh_token=kept['r']))[2])
print(keep(api(new['access_token']))[0], keep(asked(refresh_token=new['refresh_token']))[0])
"
    );
    net.gives_tokens();
    let file = net.place.write("secrets/login.json", &text(ACCESS, REFRESH));
    let ran = net.bears(&login(&format!("file = '{}'", file.display())), BOTH[0], &act);
    let ran = ran.works("a file");
    assert_eq!(ran.out, "200 200\n", "{ran:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text(ACCESS, REFRESH), "it is not written");
    assert_eq!(net.kept(), ["memory", "memory"]);
    fs::remove_file(&file).unwrap();
    net.holds_no_token(&ran);
    // A vault that cannot be written is told of, and the session goes on.
    net.gives_tokens();
    net.stores("login", &text(ACCESS, REFRESH));
    let spoils = format!(
        "{SPEAKS}print('ready', flush=True); sys.stdin.readline()\n{}",
        &act[SPEAKS.len()..]
    );
    let script = net.speaking("act.py", &spoils);
    let mut command = net.lent(60, &login("vault = 'login'"));
    command.args(["sh", "-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    fs::write(net.vault().join("vault.age"), "spoiled").unwrap();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut said, &mut rest).unwrap();
    assert_eq!((rest.as_str(), child.wait().unwrap().code()), ("200 200\n", Some(0)));
    assert_eq!(net.kept().split_off(2), ["vault-corrupt", "vault-corrupt"]);
    assert_eq!(fs::read(net.vault().join("vault.age")).unwrap(), b"spoiled");
}

/// Each login preset, with what the vault has of it: the file that its program reads has the same shape, with
/// what stands in for each token.
#[test]
fn a_login_preset_makes_the_file_of_its_program() {
    let Some(net) = Internet::take() else { return };
    let identity = "eyJhbGciOiJIUzI1NiJ9.eyJlbWFpbCI6ImFAYi50ZXN0In0.R34lT0ken0000OfTh1sP3rson0123456789abcdef";
    let claude = format!(
        "{{\"claudeAiOauth\": {{\"accessToken\": \"{ACCESS}\", \"refreshToken\": \"{REFRESH}\",\n \
         \"expiresAt\": 1893456000000, \"scopes\": [\"user:inference\", \"user:profile\"], \"subscriptionType\": \"max\"}}}}"
    );
    let chatgpt = format!(
        "{{\"OPENAI_API_KEY\": null, \"tokens\": {{\"id_token\": \"{identity}\", \"access_token\": \"{ACCESS}\", \
         \"refresh_token\": \"{REFRESH}\", \"account_id\": \"acc-1\"}}, \"last_refresh\": \"2026-01-01T00:00:00Z\"}}"
    );
    for (name, value, path) in
        [("claude", claude, ".claude/.credentials.json"), ("chatgpt", chatgpt, ".codex/auth.json")]
    {
        net.stores(name, &value);
        let policy = net
            .place
            .write("login.toml", &format!("version = 1\nextends = ['preset:{name}-login']\n"));
        let mut command = net.command_within(60, programs().join("cofferdam"));
        command.args(["run", "--quiet", "--policy"]).arg(policy).args(["--", "sh", "-c"]);
        let ran = finish(command.arg(format!("cat ~/{path} >file.json"))).works(name);
        let file: serde_json::Value =
            serde_json::from_str(&net.place.read("home/src/app/file.json")).unwrap();
        let mut want: serde_json::Value = serde_json::from_str(&value).unwrap();
        let tokens = ["access", "refresh", "id_"];
        let mut count = 0;
        for (key, real) in want
            .as_object_mut()
            .unwrap()
            .values_mut()
            .filter_map(|one| one.as_object_mut())
            .flatten()
        {
            if tokens.iter().any(|token| key.starts_with(token)) {
                let pointer =
                    format!("/{}/{key}", if name == "claude" { "claudeAiOauth" } else { "tokens" });
                let made = file.pointer(&pointer).unwrap().as_str().unwrap().to_owned();
                let before = real.as_str().unwrap();
                assert!(made.len() == before.len() && made != before, "{key}: {made}");
                assert_eq!(
                    made.split('.').take(2).eq(before.split('.').take(2)),
                    before.contains('.'),
                    "{key}: {made}"
                );
                *real = made.into();
                count += 1;
            }
        }
        assert_eq!((&file, count), (&want, if name == "claude" { 2 } else { 3 }), "{name}");
        net.holds_no_token(&ran);
    }
    // What is said to be no secret, and is one, stops the start.
    let text = "version = 1\nextends = ['preset:claude-login']\n[credentials.claude]\n\
        source = { vault = 'claude', member = 'claudeAiOauth.accessToken' }\ninject = { bearer = true }\n\
        open = { all = 'claudeAiOauth' }\n";
    let ran = net.inside(text, &["true"]);
    assert_eq!(ran.status, Some(125), "{ran:?}");
    assert!(ran.err.contains("claude.all"), "{ran:?}");
    net.holds_no_token(&ran);
}

#[test]
fn github_finds_what_stands_in_where_its_programs_look() {
    let Some(net) = Internet::take() else { return };
    let token = "gho_R34lT0kenOfTh1sP3rsonabcdefghijk0123";
    net.stores("github", token);
    let script = "cat ~/.config/gh/hosts.yml ~/.git-credentials >file.txt; printf 'protocol=https\nhost=github.com\n\n' | git credential fill >filled.txt";
    let ran = net.inside("version = 1\nextends = ['preset:github-login']\n", &["sh", "-c", script]);
    let ran = ran.works("files");
    let file = net.place.read("home/src/app/file.txt");
    let lines: Vec<&str> = file.lines().collect();
    let [host, own, protocol, stored] = lines.as_slice() else { panic!("{file}") };
    assert_eq!((*host, *protocol), ("github.com:", "    git_protocol: https"));
    let own = own.strip_prefix("    oauth_token: ").unwrap();
    assert!(own.starts_with("gho_") && own.len() == token.len() && own != token, "{own}");
    let filled = net.place.read("home/src/app/filled.txt");
    let password = filled.lines().find_map(|line| line.strip_prefix("password=")).unwrap();
    assert_eq!(*stored, format!("https://x-access-token:{password}@github.com"));
    assert!(password.len() == token.len() && password != token && password != own, "{password}");
    net.holds_no_secret(&ran, "R34lT0ken");
}
