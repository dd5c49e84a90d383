//! How presets, a policy and flags come together.

use super::Bench;

/// The first line of the plan that has all of `words`.
fn line(plan: &str, words: &[&str]) -> Option<String> {
    plan.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
}

fn plan(bench: &Bench, options: &[&str]) -> String {
    let mut command = bench.command(super::programs().join("cofferdam"));
    command.arg("plan").args(options).args(["--", "true"]);
    super::finish(&mut command).works("a plan").out
}

#[test]
fn the_text_beats_a_preset() {
    let bench = Bench::new();
    let show = "echo [$PIP_RETRIES] [$TERM]";
    let inside = |policy: &str, options: &[&str]| {
        let file = bench.place.write("p.toml", policy).display().to_string();
        let mut command = bench.command(super::programs().join("cofferdam"));
        command.env("PIP_RETRIES", "7").env("TERM", "xterm").args(["run", "--quiet", "--policy"]);
        command.arg(&file).args(options).args(["--", "sh", "-c", show]);
        super::finish(&mut command).works(policy).out
    };
    let extends = "version = 1\nextends = [\"preset:python\"]\n";
    let environment = |rest: &str| format!("{extends}[environment]\n{rest}\n");
    for (policy, options, want, why) in [
        (extends.to_owned(), &[][..], "[0] [xterm]\n", "the preset sets it, the defaults stay"),
        (environment("set = { PIP_RETRIES = \"1\" }"), &[], "[1] [xterm]\n", "the text sets it"),
        (environment("allow = [\"PIP_RETRIES\"]"), &[], "[7] []\n", "the text passes it, alone"),
        (environment("allow = []"), &[], "[0] []\n", "no name passes; what is set stays"),
        (extends.into(), &["--env", "PIP_RETRIES=2"], "[2] [xterm]\n", "a flag sets it"),
        (extends.into(), &["--env", "PIP_RETRIES"], "[7] [xterm]\n", "a flag passes it"),
        ("version = 1\n".into(), &["--preset", "python"], "[0] [xterm]\n", "a preset by flag"),
        (
            environment("set = { PIP_RETRIES = \"1\" }"),
            &["--preset", "uv"],
            "[1] [xterm]\n",
            "a preset by flag is a preset: the text beats it",
        ),
    ] {
        assert_eq!(inside(&policy, options), want, "{why}: {policy} {options:?}");
    }
}

#[test]
fn the_plan_names_preset_and_line() {
    let bench = Bench::new();
    bench.place.write("home/.m2/repository/x", "");
    let plan = plan(&bench, &["--preset", "java", "--preset", "codex"]);
    let repository = bench.place.home.join(".m2/repository").display().to_string();
    for words in [
        &["presets    java, git, openai, codex"][..],
        &["read-only", "preset", &repository, "(preset:java:"],
        &["left out", ".jdks, which does not exist", "(preset:java:"],
        &["private", "made", ".codex/config.toml", "(preset:codex)"],
        &["enforced", &repository, "is read-only", "(preset:java:"],
        &["enforced", ".jdks is not in the view", "(preset:java:"],
    ] {
        assert!(line(&plan, words).is_some(), "{words:?}: {plan}");
    }
}

/// What stands in the way of a preset's grant leaves it out; a person's own grant is refused as ever.
#[test]
fn presets_follow_no_link_and_grants_refuse_one() {
    let bench = Bench::new();
    bench.outside("mkdir $H/.m2; ln -s $OUT $H/.m2/repository").works("a link to a secret");
    let repository = bench.place.home.join(".m2/repository");
    let told = plan(&bench, &["--preset", "java"]);
    assert!(line(&told, &["left out", "repository, which leads to"]).is_some(), "{told}");
    bench.with("java", "cat ~/.m2/repository/canary").fails(&["No such file"], "not followed");
    let text = format!(
        "version = 1\n[filesystem]\ngrant = [{{ path = \"{}\", mode = \"read-only\", optional = true }}]\n",
        repository.display()
    );
    let file = bench.place.write("p.toml", &text).display().to_string();
    bench.inside(&["--policy", &file], "true").refused("symbolic link", "an optional one too");
    bench.outside("rm $H/.m2/repository; mkdir $H/.m2/repository; ln -s $OUT $H/.m2/repository/in");
    let inside = "cat ~/.m2/repository/in/canary";
    bench.outside(&inside.replace('~', "$H")).works("a link in the tree leads out, outside");
    bench.with("java", inside).fails(&["No such file"], "and nowhere inside");
    bench.inside(&["--policy", &file], "ls ~/.m2/repository").works("a directory is granted");
}

/// Absent, it is left out, and stays out for the whole run.
#[test]
fn an_optional_grant_may_be_absent() {
    let bench = Bench::new();
    let there = bench.place.root.join("out/data");
    let text = format!(
        "version = 1\n[filesystem]\ngrant = [{{ path = \"{}\", mode = \"read-write\", optional = true }}]\n",
        there.display()
    );
    let file = bench.place.write("p.toml", &text).display().to_string();
    let act = "touch $D/x && echo made";
    let script = act.replace("$D", &there.display().to_string());
    let options = ["--policy", file.as_str()];
    bench.inside(&options, &script).fails(&["No such file", "nonexistent"], "absent: nothing");
    let told = plan(&bench, &options);
    assert!(line(&told, &["left out", "data, which does not exist"]).is_some(), "{told}");
    bench.outside("mkdir $OUT/data").works("there");
    bench.inside(&options, &script).works("present: granted");
}

/// What a person grants over a preset's place is theirs: no file is made in it, and it is writable
/// where they say so.
#[test]
fn a_persons_grant_beats_a_presets() {
    let bench = Bench::new();
    bench.place.write("home/.codex/config.toml", "sandbox_mode = \"read-only\"\n");
    bench.place.write("home/.m2/repository/x", "");
    let config = format!("{}:ro", bench.place.home.join(".codex").display());
    let ran = bench.inside(&["--preset", "codex", "--grant", &config], "cat ~/.codex/config.toml");
    assert_eq!(ran.works("their own").out, "sandbox_mode = \"read-only\"\n");
    let writable = format!("{}:rw", bench.place.home.join(".m2/repository").display());
    let options = ["--preset", "java", "--grant", &writable];
    bench.inside(&options, "touch ~/.m2/repository/new").works("as they said");
    bench.with("java", "touch ~/.m2/repository/newer").fails(&["Read-only"], "the preset alone");
}

/// The page on presets has a row for each, with the hosts that it opens by itself.
#[test]
fn the_page_has_every_preset_and_its_hosts() {
    let page = include_str!("../../../../docs/presets.md");
    for preset in cofferdam::policy::presets::ALL {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", preset.name)));
        let row = row.unwrap_or_else(|| panic!("docs/presets.md has no row for {}", preset.name));
        let hosts = preset.text.lines().filter_map(|line| line.strip_prefix("host = \""));
        for host in hosts.filter_map(|rest| rest.split('"').next()) {
            assert!(row.contains(&format!("`{host}`")), "{}: {host}: {row}", preset.name);
        }
    }
}
