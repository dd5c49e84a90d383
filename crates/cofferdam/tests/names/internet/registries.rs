//! Registries of Python, npm and cargo with a small package each, in the shape that their clients take
//! from a server of files.

use super::Internet;

impl Internet {
    /// An index of Python, `/simple`, with `small`.
    pub fn python_index(&self) {
        let wheel = self.www().join("small-1-py3-none-any.whl").display().to_string();
        self.python_outside(&format!(
        "import zipfile\n\
         z = zipfile.ZipFile('{wheel}', 'w')\n\
         z.writestr('small.py', 'x = 1\\n')\n\
         z.writestr('small-1.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: small\\nVersion: 1\\n')\n\
         z.writestr('small-1.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: a\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
         z.writestr('small-1.dist-info/RECORD', '')\nz.close()"
    ))
    .works("a wheel");
        let index = self.www().join("simple/small");
        std::fs::create_dir_all(&index).unwrap();
        let link = "<a href=\"/small-1-py3-none-any.whl\">small-1-py3-none-any.whl</a>";
        std::fs::write(index.join("index.html"), link).unwrap();
    }

    /// A registry of npm for each host, `/npm/HOST/`, with `small`: what it says names the host.
    pub fn npm_registry(&self, hosts: &[&str]) {
        let www = self.www().display().to_string();
        self.python_outside(&format!(
        "import base64, hashlib, io, json, tarfile\n\
         out = io.BytesIO()\n\
         with tarfile.open(fileobj=out, mode='w:gz') as t:\n    \
         for name, text in (('package.json', json.dumps(dict(name='small', version='1.0.0'))), ('index.js', 'module.exports = 1')):\n        \
         i = tarfile.TarInfo('package/' + name); i.size = len(text); i.mode = 0o644; t.addfile(i, io.BytesIO(text.encode()))\n\
         ball = out.getvalue()\n\
         for host in {hosts:?}:\n    \
         os.makedirs('{www}/npm/' + host, exist_ok=True)\n    \
         open('{www}/npm/' + host + '/small-1.0.0.tgz', 'wb').write(ball)\n    \
         dist = dict(tarball='https://' + host + '/npm/' + host + '/small-1.0.0.tgz', integrity='sha512-' + base64.b64encode(hashlib.sha512(ball).digest()).decode())\n    \
         version = dict(name='small', version='1.0.0', dist=dist)\n    \
         packument = dict(name='small', versions={{'1.0.0': version}}); packument['dist-tags'] = dict(latest='1.0.0')\n    \
         open('{www}/npm/' + host + '/small', 'w').write(json.dumps(packument))"
    ))
    .works("a registry");
    }

    /// An index of cargo, `/index/`, with `small`, for one host.
    pub fn cargo_index(&self, host: &str) {
        let www = self.www().display().to_string();
        self.python_outside(&format!(
            "import hashlib, io, json, tarfile\n\
             out = io.BytesIO()\n\
             with tarfile.open(fileobj=out, mode='w:gz') as t:\n    \
             for name, text in (('Cargo.toml', '[package]\\nname = \"small\"\\nversion = \"1.0.0\"\\nedition = \"2021\"\\n'), ('src/lib.rs', '')):\n        \
             i = tarfile.TarInfo('small-1.0.0/' + name); i.size = len(text); i.mode = 0o644; t.addfile(i, io.BytesIO(text.encode()))\n\
             ball = out.getvalue()\n\
             os.makedirs('{www}/index/sm/al', exist_ok=True)\n\
             open('{www}/index/small-1.0.0.crate', 'wb').write(ball)\n\
             open('{www}/index/config.json', 'w').write(json.dumps(dict(dl='https://{host}/index/{{crate}}-{{version}}.crate')))\n\
             row = dict(name='small', vers='1.0.0', deps=[], features={{}}, yanked=False, cksum=hashlib.sha256(ball).hexdigest())\n\
             open('{www}/index/sm/al/small', 'w').write(json.dumps(row) + '\\n')"
        ))
        .works("an index");
    }
}
