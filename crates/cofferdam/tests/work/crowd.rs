//! Eight sandboxes at once in one tree: each may do what one alone may, and is refused the same.

use std::process::{Child, Stdio};

use crate::support::Place;

const CROWD: usize = 8;
/// What each does, so often.
const ROUNDS: usize = 15;

/// Works under a name of its own and tells how each act went; what is refused is not told with its number.
fn acts(who: usize) -> String {
    format!(
        "try() {{ if sh -c \"$2\" 2>err-{who}; then echo \"$1 works\"; else echo \"$1 refused\"; fi; }}\n\
         cd made; for i in $(seq {ROUNDS}); do\n\
         try status 'git status --porcelain > status-{who}; test ! -s status-{who}'\n\
         try make \"mkdir -p d-{who} && echo x > d-{who}/f-$i && mv d-{who}/f-$i d-{who}/g-$i && rm d-{who}/g-$i\"\n\
         try mcp 'echo x > ../.mcp.json'\ntry hook 'echo x > ../.git/hooks/post-checkout'\n\
         try claude 'mkdir ../.claude'\ntry envrc 'touch e-{who} && mv e-{who} ../.envrc'\n\
         try config 'git config core.fsmonitor x'\ntry link 'ln -s made ../.vscode'\ndone"
    )
}

/// The workload of one of them, not yet waited for.
fn started(place: &Place, who: usize) -> Child {
    let mut command = place.cofferdam(&[]);
    command.args(["sh", "-c", &acts(who)]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn told(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{:?}: {told}", String::from_utf8_lossy(&output.stderr));
    told
}

/// What the host sees in its repository, ignored files aside.
#[track_caller]
fn status(place: &Place) -> String {
    place.outside("GIT_OPTIONAL_LOCKS=0 git status --porcelain").works("git status on the host").out
}

#[test]
fn eight_at_once_do_what_one_alone_does() {
    let place = Place::new();
    place
        .outside(
            "git init -q . && git config user.email a@example.com && git config user.name a && \
             mkdir made && echo made > .gitignore && for i in $(seq 200); do echo $i > f$i; done && \
             git add . && git commit -qm one",
        )
        .works("a repository");
    // The control: nothing but the wall refuses.
    let copy = Place::new();
    copy.outside("git init -q . && mkdir made && echo x > .mcp.json && echo x > .git/hooks/post-checkout && \
                  mkdir .claude && touch made/e && mv made/e .envrc && git config core.fsmonitor x && ln -s made .vscode")
        .works("without a wall");
    let alone = told(started(&place, CROWD));
    for act in ["status", "make"] {
        assert_eq!(alone.matches(&format!("{act} works")).count(), ROUNDS, "{act}: {alone}");
    }
    for act in ["mcp", "hook", "claude", "envrc", "config", "link"] {
        assert_eq!(alone.matches(&format!("{act} refused")).count(), ROUNDS, "{act}: {alone}");
    }
    assert_eq!(status(&place), "", "one alone leaves nothing that git sees");
    let mut crowd: Vec<Child> = (0..CROWD).map(|who| started(&place, who)).collect();
    let mut looks = 0;
    while crowd.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        assert_eq!(status(&place), "", "nothing of ours while they work");
        looks += 1;
    }
    for (who, child) in crowd.into_iter().enumerate() {
        assert_eq!(told(child), alone, "the {who}th of eight");
    }
    assert_eq!(status(&place), "", "nor afterwards");
    for name in [".mcp.json", ".claude", ".envrc", ".vscode", ".git/hooks/post-checkout"] {
        assert!(!place.work.join(name).exists(), "{name} is not there");
    }
    println!("{CROWD} at once, {looks} looks from the host");
}
