//! npm, with the token of a registry in its file.

use super::{Client, field, has};
use crate::internet::Internet;
use crate::lodging::bound;

const TOKEN: &str = "npm_R3alT0kenOfTh1sP3rsonabcdefghijk0123";
const OTHERS: &str = "npm_0th3rP3rsonsT0kenabcdefghijklmn45678";

/// Installs a package: what it is and its archive are asked for with the token.
const WORKS: &str = "
cd $(mktemp -d) && npm install --silent --loglevel error --prefix got --cache got/cache --no-audit --no-fund \
--no-update-notifier --fetch-retries 0 small 2>&1 && grep -q exports got/node_modules/small/index.js
";
const FILE: &str = "registry=https://new.test/npm/new.test/\\n//new.test/:_authToken=";

#[test]
fn npm_installs_from_a_registry_with_a_token() {
    let Some(net) = Internet::take() else { return };
    if !has(&net, "npm") {
        return;
    }
    net.npm_registry(&["new.test"]);
    let credential = format!(
        "[credentials.api]\nsource = {{ env = 'API_SECRET' }}\ninject = {{ bearer = true }}\n\
         files = {{ '~/.npmrc' = \"{FILE}{{api}}\\n\" }}\n"
    );
    let wanted = format!("Bearer {TOKEN}");
    Client {
        name: "npm",
        secret: TOKEN,
        others: OTHERS,
        rules: format!("{}{credential}", bound("methods = ['GET']\npaths = ['/npm/**']")),
        plants: &format!("printf '{FILE}%s\\n' \"$KEY\" >~/.npmrc"),
        works: WORKS,
        shows: &|one| field(one, "authorization") == [wanted.as_str()],
    }
    .bears(&net);
}
