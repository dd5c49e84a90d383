//! git, pip, npm and cargo, looked into, from servers of this test.

use crate::internet::Internet;
use crate::looking::{DIRECT, PROXY, WAYS, Way, rule};
use crate::support::finish;

/// Runs without a wall, then inside, each way, where every request that the origin hears is on record.
fn installs(net: &Internet, what: &str, rules: &str, script: &str) {
    net.outside(&["sh", "-c", script]).works("without a wall");
    assert!(!net.asked().is_empty(), "{what}: the control reaches it");
    let asked = net.targets();
    for way in WAYS {
        net.forget();
        let (_, told) = net.on_record(|| net.scripted(rules, way, script).works(what));
        assert_eq!(net.targets().len(), asked.len(), "{what}, {}: {:?}", way.0, net.targets());
        assert_eq!(told.len(), asked.len(), "{what}, {}: {told:?}", way.0);
        assert!(told.iter().all(|one| one.ends_with(" 200 allowed")), "{what}: {told:?}");
    }
    net.forget();
    let none = rule("methods = ['DELETE']");
    let ran = net.scripted(&none, PROXY, script);
    assert!(!matches!(ran.status, Some(0 | 125) | None), "{what}: refused: {ran:?}");
    assert_eq!(net.targets(), Vec::<String>::new(), "{what}");
}

#[test]
fn pip_installs() {
    let Some(net) = Internet::take() else { return };
    if net.outside(&["/usr/bin/python3", "-m", "pip", "--version"]).status != Some(0) {
        println!("not run: pip inside: it is not installed");
        return;
    }
    net.python_index();
    let script = "/usr/bin/python3 -m pip install -q --no-deps --no-cache-dir --no-compile --retries 0 --timeout 5 \
         --disable-pip-version-check --target got --index-url https://new.test/simple small 2>&1 && \
         grep -q 'x = 1' got/small.py && rm -r got";
    let rules = rule("methods = ['GET']\npaths = ['/simple/**', '/*.whl']");
    installs(&net, "pip", &rules, script);
}

#[test]
fn npm_installs() {
    let Some(net) = Internet::take() else { return };
    if net.outside(&["npm", "--version"]).status != Some(0) {
        println!("not run: npm inside: it is not installed");
        return;
    }
    net.npm_registry(&["new.test"]);
    let script = "npm install --silent --loglevel error --prefix got --cache got/cache --no-audit --no-fund --no-update-notifier --fetch-retries 0 \
         --registry https://new.test/npm/new.test/ small 2>&1 && grep -q exports got/node_modules/small/index.js && rm -r got";
    let rules = rule("methods = ['GET']\npaths = ['/npm/**']");
    installs(&net, "npm", &rules, script);
}

#[test]
fn cargo_fetches() {
    let Some(net) = Internet::take() else { return };
    // The program itself, not one that chooses among versions by files of a home.
    let root = finish(net.place.command("rustc").args(["--print", "sysroot"])).out;
    let root = root.trim();
    if root.is_empty() {
        println!("not run: cargo inside: it is not installed");
        return;
    }
    net.cargo_index("new.test");
    let script = format!(
        "rm -rf small /tmp/cargo; mkdir -p small/src && cd small && : >src/lib.rs && \
         printf '[package]\\nname = \"one\"\\nversion = \"1.0.0\"\\nedition = \"2021\"\\n[dependencies]\\nsmall = {{ version = \"1\", registry = \"local\" }}\\n' >Cargo.toml && \
         export CARGO_HOME=$PWD/cargo CARGO_NET_RETRY=0 RUSTC={root}/bin/rustc CARGO_REGISTRIES_LOCAL_INDEX=sparse+https://new.test/index/ && \
         export CARGO_HTTP_CAINFO=${{CARGO_HTTP_CAINFO:-$SSL_CERT_FILE}} && \
         {root}/bin/cargo fetch -q && ls cargo/registry/cache/*/small-1.0.0.crate >/dev/null"
    );
    let rules = format!(
        "[[filesystem.grant]]\npath = '{root}'\nmode = 'read-only'\n{}",
        rule("methods = ['GET']\npaths = ['/index/**']")
    );
    installs(&net, "cargo", &rules, &script);
}

/// A repository with one commit that anybody may push to.
fn repository(net: &Internet, name: &str) -> String {
    let bare = net.www().join(format!("git/{name}.git")).display().to_string();
    let script = format!(
        "set -e; rm -rf {bare} seed; git init -q --bare {bare}; git -C {bare} config http.receivepack true
        git init -q seed; cd seed; git -c user.name=a -c user.email=a@b.test commit -q --allow-empty -m seed
        git push -q {bare} HEAD:refs/heads/main; git -C {bare} symbolic-ref HEAD refs/heads/main; cd ..; rm -rf seed"
    );
    net.outside(&["sh", "-c", &script]).works("a repository");
    bare
}

fn clone(name: &str, copy: &str) -> String {
    format!("rm -rf {copy}; git clone -q https://new.test/git/{name}.git {copy} 2>&1")
}

fn push(name: &str, copy: &str) -> String {
    format!(
        "cd {copy} && git -c user.name=a -c user.email=a@b.test commit -q --allow-empty -m {copy} && \
         git push -q https://new.test/git/{name}.git HEAD:refs/heads/{copy} 2>&1"
    )
}

/// Whether a branch is there.
fn is_pushed(net: &Internet, bare: &str, branch: &str) -> bool {
    let words = ["git", "-C", bare, "rev-parse", "-q", "--verify", &format!("refs/heads/{branch}")];
    net.outside(&words).status == Some(0)
}

fn run(net: &Internet, rules: &str, way: Way, script: &str) -> (Option<i32>, String, Vec<String>) {
    let (ran, told) = net.on_record(|| net.scripted(rules, way, script));
    (ran.status, ran.out + &ran.err, told)
}

/// S44: whoever may read one repository reads that one, and whoever may write it pushes there and
/// nowhere else.
#[test]
fn s44_git_goes_where_a_rule_says() {
    let Some(net) = Internet::take() else { return };
    let (mine, other) = (repository(&net, "me"), repository(&net, "other"));
    let both = format!("{} && ({}) && ({})", clone("me", "c"), push("me", "c"), push("other", "c"));
    net.outside(&["sh", "-c", &both]).works("without a wall");
    assert!(is_pushed(&net, &mine, "c") && is_pushed(&net, &other, "c"));
    let reads = rule("git = ['git/me:read']");
    let writes = rule("git = ['git/me:write']");
    for way in [PROXY, DIRECT] {
        let (w, copy) = (way.0, format!("copy-{}", way.0));
        let (status, said, _) = run(&net, &reads, way, &clone("me", &copy));
        assert_eq!(status, Some(0), "{w}: read: {said}");
        net.forget();
        let (status, said, told) = run(&net, &reads, way, &push("me", &copy));
        assert!(status != Some(0) && said.contains("403"), "{w}: it may not be written: {said}");
        let code = " 403 repository-read-only";
        assert!(!told.is_empty() && told.iter().all(|one| one.ends_with(code)), "{told:?}");
        assert!(!is_pushed(&net, &mine, &copy), "{w}");
        assert_eq!(net.targets(), Vec::<String>::new(), "{w}: not even asked for");
        let (status, said, told) = run(&net, &writes, way, &push("me", &copy));
        assert_eq!(status, Some(0), "{w}: written: {said}: {told:?}");
        assert!(is_pushed(&net, &mine, &copy), "{w}");
        net.forget();
        for script in [clone("other", "no"), push("other", &copy)] {
            let (status, said, told) = run(&net, &writes, way, &script);
            assert!(status != Some(0) && said.contains("403"), "{w}: another: {said}");
            let code = " 403 repository-not-allowed";
            assert!(!told.is_empty() && told.iter().all(|one| one.ends_with(code)), "{told:?}");
        }
        assert!(!is_pushed(&net, &other, &copy), "{w}");
        assert_eq!(net.targets(), Vec::<String>::new(), "{w}: nobody else is asked");
    }
    // The same by hand: what is no smart HTTP, and names that mean another repository.
    let none = [
        "/git/me.git/HEAD",
        "/git/me.git/info/refs",
        "/git/me.git/info/refs?service=git-upload-archive",
        "/git/me.git/objects/info/packs",
        "/git/me.git/../other.git/info/refs?service=git-upload-pack",
        "/git/me.git%2f..%2fother.git/info/refs?service=git-upload-pack",
        "/git/other.git/info/refs?service=git-upload-pack&x=/git/me.git",
        "/git/me.git/info/refs?service=git-upload-pack&service=git-receive-pack",
        "/git/ME.git/info/refs?service=git-upload-pack",
    ];
    let act = format!(
        "for path in {none:?}: print(path, ask(get(path))[0])\n\
         print(ask(get('/git/me.git/info/refs?service=git-upload-pack'))[0])"
    );
    net.forget();
    let ran = net.speaks(&reads, PROXY, &act).works("by hand");
    let lines: Vec<&str> = ran.out.lines().collect();
    let (last, refused) = lines.split_last().unwrap();
    assert!(refused.iter().all(|l| l.ends_with(" 403") || l.ends_with(" 400")), "{refused:?}");
    assert_eq!((*last, net.targets().len()), ("200", 1), "{:?}", net.targets());
}
