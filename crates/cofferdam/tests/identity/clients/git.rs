//! git over HTTPS, with a token that its `store` keeps: the server asks for it.

use super::{Client, field, has};
use crate::internet::Internet;
use crate::lodging::bound;

const TOKEN: &str = "ghp_R3alT0kenOfTh1sP3rsonabcdefghijk0123";
const OTHERS: &str = "ghp_0th3rP3rsonsT0kenabcdefghijklmn45678";

/// A clone, a commit, and a push to a branch of its own.
const WORKS: &str = "
export GIT_TERMINAL_PROMPT=0
git config --global credential.helper store
git config --global user.name a && git config --global user.email a@b.test
cd $(mktemp -d) && git clone -q https://new.test/git/locked/me.git copy && cd copy &&
git commit -q --allow-empty -m more && git push -q origin HEAD:refs/heads/pushed-$$-$(date +%N)
";

/// An empty repository but for one commit, for who sends this password.
fn repository(net: &Internet, token: &str) -> String {
    let bare = net.www().join("git/locked/me.git").display().to_string();
    let script = format!(
        "set -e; rm -rf {bare} seed; git init -q --bare {bare}; git -C {bare} config http.receivepack true
        git init -q seed; cd seed; git -c user.name=a -c user.email=a@b.test commit -q --allow-empty -m seed
        git push -q {bare} HEAD:refs/heads/main; git -C {bare} symbolic-ref HEAD refs/heads/main; cd ..; rm -rf seed
        printf 'Basic %s' $(printf 'x-access-token:{token}' | base64 -w0) >{bare}/../wanted"
    );
    net.outside(&["sh", "-c", &script]).works("a repository");
    std::fs::read_to_string(net.www().join("git/locked/wanted")).unwrap()
}

fn branches(net: &Internet) -> usize {
    let bare = net.www().join("git/locked/me.git").display().to_string();
    let ran = net.outside(&["git", "-C", &bare, "branch", "--list", "pushed-*"]).works("branches");
    ran.out.lines().count()
}

#[test]
fn git_clones_and_pushes() {
    let Some(net) = Internet::take() else { return };
    if !has(&net, "git") {
        return;
    }
    let wanted = repository(&net, TOKEN);
    let credential = "[credentials.api]\nsource = { env = 'API_SECRET' }\ninject = { basic = 'x-access-token' }\n\
         files = { '~/.git-credentials' = \"https://x-access-token:{api}@new.test\\n\" }\n";
    Client {
        name: "git",
        secret: TOKEN,
        others: OTHERS,
        rules: format!("{}{credential}", bound("git = ['git/locked/me:write']")),
        plants: "printf 'https://x-access-token:%s@new.test\\n' \"$KEY\" >~/.git-credentials",
        works: WORKS,
        shows: &|one| field(one, "authorization") == [wanted.as_str()],
    }
    .bears(&net);
    assert_eq!(branches(&net), 3, "one without a wall, one each way");
}
