//! Packages from registries of this test: an index of Python and a registry of npm, in the shape that
//! both take from a server of files.

use crate::asking::POLICY;
use crate::clients::WITHOUT;
use crate::internet::{GOOD, GOOD_6, Internet};

/// Without a wall from EVIL, then inside from GOOD and from EVIL, with and without proxy variables.
/// `script` gives the command that installs from a host; `asked` is how many requests that takes.
fn installs(net: &Internet, script: &dyn Fn(&str, &str) -> String, asked: usize) {
    net.outside(&["sh", "-c", &script("", "evil.test")]).works("without a wall");
    assert!(net.evil() > 0, "the control reaches it");
    for (before, way) in [("", "proxy"), (WITHOUT, "direct")] {
        net.forget();
        net.tells(&[&*format!("{way} good.test:443 allowed")], || {
            net.inside(POLICY, &["sh", "-c", &script(before, "good.test")]).works(way)
        });
        let seen = net.settled();
        let requests = seen.requests_to(GOOD).len() + seen.requests_to(GOOD_6).len();
        assert_eq!(requests, asked, "{way}: {:?}", seen.requests);
        net.forget();
        let told = match way {
            "proxy" => "proxy evil.test:443 host-not-allowed",
            _ => "lookup evil.test:0 host-not-allowed",
        };
        net.tells(&[told], || {
            let ran = net.inside(POLICY, &["sh", "-c", &script(before, "evil.test")]);
            ran.fails(&["403", "ENOTFOUND", "No matching distribution"], way)
        });
        net.is_silent(way);
    }
}

#[test]
fn pip_installs_from_an_index_that_is_allowed() {
    let Some(net) = Internet::take() else { return };
    if net.outside(&["/usr/bin/python3", "-m", "pip", "--version"]).status != Some(0) {
        println!("not run: pip inside: it is not installed");
        return;
    }
    let wheel = net.www().join("small-1-py3-none-any.whl").display().to_string();
    net.python_outside(&format!(
        "import zipfile\n\
         z = zipfile.ZipFile('{wheel}', 'w')\n\
         z.writestr('small.py', 'x = 1\\n')\n\
         z.writestr('small-1.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: small\\nVersion: 1\\n')\n\
         z.writestr('small-1.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: a\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
         z.writestr('small-1.dist-info/RECORD', '')\nz.close()"
    ))
    .works("a wheel");
    let index = net.www().join("simple/small");
    std::fs::create_dir_all(&index).unwrap();
    let link = "<a href=\"/small-1-py3-none-any.whl\">small-1-py3-none-any.whl</a>";
    std::fs::write(index.join("index.html"), link).unwrap();
    let script = |before: &str, host: &str| {
        format!(
            "{before}/usr/bin/python3 -m pip install -q --no-deps --no-cache-dir --no-compile --retries 0 --timeout 5 \
             --disable-pip-version-check --target got --index-url https://{host}/simple small 2>&1 && grep -q 'x = 1' got/small.py && rm -r got"
        )
    };
    installs(&net, &script, 2);
}

#[test]
fn npm_installs_from_a_registry_that_is_allowed() {
    let Some(net) = Internet::take() else { return };
    if net.outside(&["npm", "--version"]).status != Some(0) {
        println!("not run: npm inside: it is not installed");
        return;
    }
    let www = net.www().display().to_string();
    net.python_outside(&format!(
        "import base64, hashlib, io, json, tarfile\n\
         out = io.BytesIO()\n\
         with tarfile.open(fileobj=out, mode='w:gz') as t:\n    \
         for name, text in (('package.json', json.dumps(dict(name='small', version='1.0.0'))), ('index.js', 'module.exports = 1')):\n        \
         i = tarfile.TarInfo('package/' + name); i.size = len(text); i.mode = 0o644; t.addfile(i, io.BytesIO(text.encode()))\n\
         ball = out.getvalue()\n\
         for host in ('good.test', 'evil.test'):\n    \
         os.makedirs('{www}/npm/' + host, exist_ok=True)\n    \
         open('{www}/npm/' + host + '/small-1.0.0.tgz', 'wb').write(ball)\n    \
         dist = dict(tarball='https://' + host + '/npm/' + host + '/small-1.0.0.tgz', integrity='sha512-' + base64.b64encode(hashlib.sha512(ball).digest()).decode())\n    \
         version = dict(name='small', version='1.0.0', dist=dist)\n    \
         packument = dict(name='small', versions={{'1.0.0': version}}); packument['dist-tags'] = dict(latest='1.0.0')\n    \
         open('{www}/npm/' + host + '/small', 'w').write(json.dumps(packument))"
    ))
    .works("a registry");
    let script = |before: &str, host: &str| {
        format!(
            "{before}npm install --silent --loglevel error --prefix got --cache got/cache --no-audit --no-fund --no-update-notifier --fetch-retries 0 \
             --registry https://{host}/npm/{host}/ small 2>&1 && grep -q exports got/node_modules/small/index.js && rm -r got"
        )
    };
    installs(&net, &script, 2);
}
