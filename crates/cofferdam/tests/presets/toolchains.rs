//! Toolchains.

use super::support::{finish, is_root};
use super::{Bench, tool};

#[test]
fn base() {
    let bench = Bench::new();
    let mut command = bench.command(super::programs().join("cofferdam"));
    command.env("EDITOR", "my-editor").env("MY_SETTING", "x").args(["run", "--quiet"]);
    let script = "echo [$EDITOR] [$MY_SETTING]";
    let ran = finish(command.args(["--preset", "base", "--", "sh", "-c", script]));
    assert_eq!(ran.works("the person's editor").out, "[my-editor] []\n");
    let mut command = bench.command(super::programs().join("cofferdam"));
    command.env("EDITOR", "my-editor").args(["run", "--quiet", "--", "sh", "-c", script]);
    assert_eq!(finish(&mut command).works("without").out, "[] []\n");
}

/// Who commits comes from the environment; the background half of `gc --auto` is not cut off.
#[test]
fn git() {
    let bench = Bench::new();
    bench.outside("cd $W && git init -q . && git config gc.auto 1").works("a repository");
    let commit = |preset: &[&str], script: &str| {
        let mut command = bench.command(super::programs().join("cofferdam"));
        for name in ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"] {
            command.env(name, "somebody");
        }
        for name in ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"] {
            command.env(name, "s@example.com");
        }
        command.args(["run", "--quiet"]).args(preset).args(["--", "sh", "-ec", script]);
        finish(&mut command)
    };
    let script = "for i in $(seq 1500); do echo $i >f$i; done; git add .; git commit -qm one";
    commit(&[], script).fails(&["Please tell me who you are", "empty ident"], "nobody");
    bench.unchanged(|| {
        commit(&["--preset", "git"], script).works("somebody");
    });
    let left = "find .git -name '*.pid' -o -name '*.lock' -o -name 'tmp_*'; git count-objects";
    let left = bench.outside(left).works("look at what is left").out;
    assert_eq!(left, "0 objects, 0 kilobytes\n", "packed, and nothing left behind");
    let who = bench.outside("git log --format='%an %ce'").works("").out;
    assert_eq!(who, "somebody s@example.com\n");
}

/// Packages of the user, and an index that cannot be asked.
#[test]
fn python() {
    let bench = Bench::new();
    let version = "import sys; print('python%d.%d' % sys.version_info[:2])";
    let version = bench.outside(&format!("/usr/bin/python3 -c \"{version}\"")).works("").out;
    let folder = format!("home/.local/lib/{}/site-packages", version.trim());
    bench.place.write(&format!("{folder}/of_the_user.py"), "print('imported')\n");
    bench.place.write("home/.config/pip/pip.conf", "[global]\nindex-url = https://u:p@x/\n");
    let script = "/usr/bin/python3 -c 'import of_the_user'";
    bench.outside(script).works("outside");
    bench.inside(&[], script).fails(&["ModuleNotFoundError"], "without the preset");
    bench.unchanged(|| {
        bench.with("python", script).works("inside");
        bench.with("python", "cat ~/.config/pip/pip.conf").fails(&["No such file"], "a token");
        bench
            .with("python", &format!("touch ~/.local/lib/{}/x", version.trim()))
            .fails(&["Read-only"], "packages stay");
        let asked = bench.with("python", "/usr/bin/python3 -m venv v; v/bin/pip install none-such");
        let asked = asked.fails(&["No matching distribution"], "no index");
        assert!(!asked.err.contains("Retrying"), "and it is not asked again: {}", asked.err);
    });
}

#[test]
fn uv() {
    let Some(uv) = tool("uv") else { return };
    let mut bench = Bench::new();
    bench.install(&uv, ".local/bin");
    bench.place.write("home/.local/share/uv/credentials/credentials.toml", "token");
    let project = "[project]\nname = \"small\"\nversion = \"1\"\nrequires-python = \">=3.8\"\n";
    bench.place.write("home/src/app/pyproject.toml", project);
    bench.place.write("home/src/app/run.py", "print('ran')\n");
    bench.unchanged(|| {
        let ran = bench.with("uv", "uv run --python /usr/bin/python3 run.py");
        assert_eq!(ran.works("an environment, a lock, a script").out, "ran\n");
        bench
            .with("uv", "uv pip install --python /usr/bin/python3 --target t none-such")
            .fails(&["network was disabled", "Network connectivity is disabled"], "said at once");
        bench
            .with("uv", "cat ~/.local/share/uv/credentials/credentials.toml")
            .fails(&["No such file"], "a token");
    });
}

/// Global packages, and npm with a package of the workspace.
#[test]
fn node() {
    let Some(_) = tool("node") else { return };
    let mut bench = Bench::new();
    let global = bench.place.home.join(".npm-global");
    bench.place.write(
        "home/.npm-global/lib/node_modules/hello/cli.js",
        "#!/usr/bin/env node\nconsole.log('hello');\n",
    );
    bench.place.write("home/.npm-global/etc/npmrc", "//registry.npmjs.org/:_authToken=t");
    bench.place.write("home/.npmrc", "//registry.npmjs.org/:_authToken=t");
    let script = "mkdir $H/.npm-global/bin; cd $H/.npm-global; \
                  chmod +x lib/node_modules/hello/cli.js; ln -s ../lib/node_modules/hello/cli.js bin/hello";
    bench.outside(script).works("a global package");
    bench.path = format!("{}:{}", global.join("bin").display(), bench.path);
    bench.outside("hello").works("outside");
    bench.inside(&[], "hello").fails(&["not found"], "without the preset");
    bench.place.write("home/src/app/package.json", "{\"name\":\"a\",\"version\":\"1.0.0\"}");
    bench.place.write("home/src/app/dep/package.json", "{\"name\":\"dep\",\"version\":\"1.0.0\"}");
    bench.unchanged(|| {
        assert_eq!(bench.with("node", "hello").works("inside").out, "hello\n");
        for file in ["~/.npm-global/etc/npmrc", "~/.npmrc"] {
            bench.with("node", &format!("cat {file}")).fails(&["No such file"], "a token");
        }
        if tool("npm").is_some() {
            bench.with("node", "npm install ./dep; test -e node_modules/dep").works("npm");
            bench.with("node", "npm install none-such").fails(&["ENOTCACHED"], "said at once");
        }
    });
}

#[test]
fn bun() {
    let Some(bun) = tool("bun") else { return };
    let mut bench = Bench::new();
    bench.install(&bun, ".bun/bin");
    bench.place.write("home/.npmrc", "//registry.npmjs.org/:_authToken=t");
    let dependencies = "{\"name\":\"a\",\"dependencies\":{\"dep\":\"file:./dep\"}}";
    bench.place.write("home/src/app/package.json", dependencies);
    bench.place.write("home/src/app/dep/package.json", "{\"name\":\"dep\",\"version\":\"1.0.0\"}");
    bench.place.write("home/src/app/dep/index.js", "module.exports = 'from-dep';\n");
    bench.place.write("home/src/app/a.ts", "import d from 'dep'; console.log(d as string);\n");
    bench.outside("mkdir -p $H/.bun/install/cache").works("as after the first installation");
    bench.inside(&[], "bun install").fails(&["EROFS"], "without the preset");
    bench.unchanged(|| {
        let ran = bench.with("bun", "bun install >log 2>&1; bun run a.ts");
        assert_eq!(ran.works("install and run").out, "from-dep\n");
        bench.with("bun", "cat ~/.npmrc").fails(&["No such file"], "a token");
    });
}

/// Modules that were fetched before are used, and what scripts stored beside them is absent.
#[test]
fn deno() {
    let Some(deno) = tool("deno") else { return };
    let mut bench = Bench::new();
    bench.install(&deno, ".deno/bin");
    bench.place.write("home/.cache/deno/location_data/x", "stored");
    bench.place.write("home/src/app/x.ts", "export const x: number = 4;\n");
    bench.place.write("home/src/app/a.ts", "import { x } from './x.ts'; console.log(x);\n");
    let package = "import n from 'npm:is-number@7.0.0'; console.log(n(5));\n";
    bench.place.write("home/src/app/b.ts", package);
    let fetched = bench.outside("deno cache b.ts").status == Some(0);
    bench.unchanged(|| {
        assert_eq!(bench.with("deno", "deno run a.ts").works("two modules").out, "4\n");
        if fetched {
            bench.inside(&[], "deno run b.ts").fails(&["Failed loading"], "without the preset");
            assert_eq!(bench.with("deno", "deno run b.ts").works("fetched").out, "true\n");
        } else {
            println!("not run: a module of npm's, which could not be fetched");
        }
        bench
            .with("deno", "cat ~/.cache/deno/location_data/x")
            .fails(&["No such file"], "what scripts stored");
    });
}

/// A crate is built and tested; a dependency that is missing is said to be, at once.
#[test]
fn rust() {
    let asked = finish(std::process::Command::new("sh").args(["-c", "rustc --print sysroot"]));
    let sysroot = asked.out.trim().to_owned();
    if sysroot.is_empty() {
        println!("not run: rustc is not installed");
        return;
    }
    let mut bench = Bench::new();
    bench.path = format!("{sysroot}/bin:{}", bench.path);
    bench.place.write("home/.cargo/credentials.toml", "[registry]\ntoken = \"t\"\n");
    let package = "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";
    bench.place.write("home/src/app/Cargo.toml", package);
    let main = "fn main() { println!(\"built\"); }\n#[test]\nfn two() { assert_eq!(1 + 1, 2); }\n";
    bench.place.write("home/src/app/src/main.rs", main);
    let missing = format!("{package}[dependencies]\nnone-such = \"1\"\n");
    bench.place.write("home/src/app/missing/Cargo.toml", &missing);
    bench.place.write("home/src/app/missing/src/lib.rs", "");
    let grant = format!("{sysroot}:ro");
    let options = ["--preset", "rust", "--grant", &grant];
    bench.unchanged(|| {
        let script = "cargo build -q; cargo test -q >log; ./target/debug/small";
        assert_eq!(bench.inside(&options, script).works("build, test, run").out, "built\n");
        bench.inside(&options, "cd missing; cargo build").fails(&["offline mode"], "said at once");
        bench.inside(&options, "cat ~/.cargo/credentials.toml").fails(&["No such file"], "a token");
    });
}

/// A module that was fetched before is added and used, though nothing can be asked.
#[test]
fn go() {
    let Some(_) = tool("go") else { return };
    let bench = Bench::new();
    let (module, zipped) = ("proxy/example.com/x/@v", "example.com/x@v1.0.0");
    bench.place.write(&format!("home/src/app/{module}/list"), "v1.0.0\n");
    let info = "{\"Version\":\"v1.0.0\",\"Time\":\"2020-01-01T00:00:00Z\"}";
    bench.place.write(&format!("home/src/app/{module}/v1.0.0.info"), info);
    let manifest = "module example.com/x\n\ngo 1.17\n";
    bench.place.write(&format!("home/src/app/{module}/v1.0.0.mod"), manifest);
    bench.place.write(&format!("out/{zipped}/go.mod"), manifest);
    bench.place.write(&format!("out/{zipped}/x.go"), "package x\n\nconst Y = \"from-x\"\n");
    let zip = format!(
        "cd $OUT; /usr/bin/python3 -c \"import zipfile; z = zipfile.ZipFile('$W/{module}/v1.0.0.zip', 'w'); \
         [z.write('{zipped}/' + f) for f in ('go.mod', 'x.go')]\""
    );
    bench.outside(&zip).works("a module's archive");
    bench.place.write("home/src/app/a/go.mod", "module a\n\ngo 1.19\n");
    let main = "package main\n\nimport (\n\t\"fmt\"\n\n\t\"example.com/x\"\n)\n\n\
                func main() { fmt.Println(x.Y) }\n";
    bench.place.write("home/src/app/a/main.go", main);
    let fetch = "cd a; cp go.mod was; GOSUMDB=off GOPROXY=file://$W/proxy GOFLAGS=-modcacherw \
                 go get example.com/x@v1.0.0; cp was go.mod; rm -f go.sum";
    bench.outside(fetch).works("fetch it");
    let script = "cd a; go get example.com/x@v1.0.0 && go run .";
    bench.inside(&[], script).fails(&["sum.golang.org", "lookup"], "without the preset");
    bench.unchanged(|| {
        let ran = bench.with("go", script);
        assert_eq!(ran.works("add it, build, run").out, "from-x\n");
        bench
            .with("go", "cd a; go get example.com/none@v1.0.0")
            .fails(&["GOPROXY=off"], "said at once");
    });
}

/// Maven finds a parent that was fetched before; passwords beside it are absent.
#[test]
fn java() {
    let Some(_) = tool("java") else { return };
    let bench = Bench::new();
    let pom = |rest: &str| {
        format!(
            "<project><modelVersion>4.0.0</modelVersion><packaging>pom</packaging>{rest}</project>"
        )
    };
    let name = "<groupId>org.example</groupId><artifactId>parent</artifactId><version>1</version>";
    let repository = "home/.m2/repository/org/example/parent/1";
    bench.place.write(&format!("{repository}/parent-1.pom"), &pom(name));
    bench.place.write("home/.m2/settings.xml", "<settings/>");
    let child = format!("<parent>{name}<relativePath/></parent><artifactId>c</artifactId>");
    bench.place.write("home/src/app/pom.xml", &pom(&child));
    bench.unchanged(|| {
        bench.with("java", "java -version 2>&1").works("a machine starts");
        let kept = "cat ~/.m2/repository/org/example/parent/1/parent-1.pom";
        bench.inside(&[], kept).fails(&["No such file"], "without the preset");
        bench.with("java", kept).works("what was fetched");
        bench.with("java", "cat ~/.m2/settings.xml").fails(&["No such file"], "a password");
        if tool("mvn").is_some() {
            let validate = "mvn -B -q validate";
            bench.inside(&[], validate).fails(&["UnresolvableModel"], "without the preset");
            bench.with("java", validate).works("maven");
        }
    });
}

/// Gems of the user, in either of their places: the old one where it is there.
#[test]
fn ruby() {
    let Some(_) = tool("ruby") else { return };
    for folder in [".local/share/gem", ".gem"] {
        gems_of_the_user(folder);
    }
}

fn gems_of_the_user(folder: &str) {
    let bench = Bench::new();
    let gem = "Gem::Specification.new { |s| s.name = 'loc'; s.version = '1.0.0'; s.summary = 's'\n\
               s.authors = ['a']; s.files = ['lib/loc.rb'] }\n";
    bench.place.write("out/loc.gemspec", gem);
    bench.place.write("out/lib/loc.rb", "LOC = 'from-a-gem'\n");
    bench.place.write(&format!("home/{folder}/credentials"), "key");
    let install = format!(
        "cd $OUT; gem build -q loc.gemspec; \
         gem install -q --local --user-install --no-document loc-1.0.0.gem; test -d $H/{folder}/ruby"
    );
    bench.outside(&install).works("a gem of the user");
    let script = "ruby -e 'require %q(loc); puts LOC'";
    bench.outside(script).works("outside");
    bench.inside(&[], script).fails(&["cannot load such file"], "without the preset");
    bench.unchanged(|| {
        assert_eq!(bench.with("ruby", script).works(folder).out, "from-a-gem\n");
        let credentials = format!("cat ~/{folder}/credentials");
        bench.with("ruby", &credentials).fails(&["No such file"], "a token");
        if tool("bundle").is_some() {
            bench.place.write("home/src/app/Gemfile", "source 'https://rubygems.org'\ngem 'loc'\n");
            let ran = bench.with("ruby", &format!("bundle exec {script}"));
            assert_eq!(ran.works("bundler").out, "from-a-gem\n");
        }
    });
}

/// Root's stand-in reads what root's home grants: the trees are idmapped where that is possible.
#[test]
fn presets_of_roots_home() {
    if !is_root() {
        println!("not run: only root gives way");
        return;
    }
    let bench = Bench::new();
    bench.place.write("home/.m2/repository/private", "readable\n");
    bench.outside("chmod 600 $H/.m2/repository/private").works("for root alone");
    let ran = bench.with("java", "cat ~/.m2/repository/private; id -u");
    assert!(ran.works("read").out.starts_with("readable\n"));
}
