//! Questions about hosts and credentials: what the gateway would say, in its words.

use cofferdam_gateway::denial::{Told, told};
use cofferdam_policy::credentials::{Credential, Inject};
use cofferdam_policy::judge::about::About;
use cofferdam_policy::judge::hosts::{Allowed, Decision, Host, Protocol};
use cofferdam_policy::judge::requests::{Request, Sight};
use cofferdam_policy::model::Clause;
use cofferdam_policy::{nearest_of, show};

use super::{Answer, Considered, Fix, Outcome, WhyError};

/// Most entries of a list that is told.
const LISTED: usize = 8;
/// What is dialled is looked at once more.
const ADDRESSES: &str = "its addresses are looked at when it is dialled: those of this machine, of networks of \
                         its own and of clouds' metadata are refused";

/// What is spoken on a port where no rule says.
const fn usual(port: u16) -> Protocol {
    match port {
        443 => Protocol::Tls,
        80 => Protocol::Http,
        _ => Protocol::Tcp,
    }
}

impl Considered<'_> {
    pub(super) fn of_connection(
        &self,
        host: &Host,
        port: u16,
        request: Option<(&str, &str)>,
    ) -> Answer {
        let about = self.policy.network.rules.about(host);
        let protocol = about.spoken(port).unwrap_or_else(|| usual(port));
        let asked = match request {
            None => format!("connect {host}:{port}, {}", protocol.as_str()),
            Some((method, target)) => {
                format!("connect {host}:{port}, {}, {method} {target}", protocol.as_str())
            }
        };
        let sight = match about.sight(port, protocol) {
            Ok(sight) => sight,
            Err(said) => return self.refused(asked, told((host, port), protocol, said), said.0),
        };
        let (rule, inside) = match sight {
            Sight::Opaque(rule) => (rule, false),
            Sight::Inside(rule) => (rule, true),
        };
        let decided = request
            .filter(|_| inside)
            .map(|(method, target)| requested(&about, (port, protocol), method, target));
        let rule = match decided {
            Some(Decision::Deny(clause, because)) => {
                let told = told((host, port), protocol, (clause, because));
                return self.refused(asked, told, clause);
            }
            Some(Decision::Allow(rule)) => rule,
            None => rule,
        };
        let mut answer = self.answer(asked, Outcome::Allowed, &rule.clause);
        answer.notes = notes(rule, request.is_some(), inside);
        answer
    }

    fn refused(&self, asked: String, told: Told, clause: &Clause) -> Answer {
        let mut answer = self.answer(asked, Outcome::Denied, clause);
        let (option, policy) = match told.fix.split_once("; in a policy: ") {
            Some((option, policy)) => (option.to_owned(), policy.to_owned()),
            None => (String::new(), told.fix),
        };
        answer.code = Some(told.code.into());
        answer.why = told.why;
        answer.hears = Some(format!("HTTP {}, or no connection", told.status));
        answer.fix = (!policy.is_empty()).then_some(Fix { option, policy });
        answer
    }

    pub(super) fn of_credential(&self, asked: &str, host: &Host) -> Result<Answer, WhyError> {
        let all = &self.policy.credentials;
        let Some(credential) = all.iter().find(|one| one.name == asked) else {
            let known: Vec<String> = all.iter().map(|one| one.name.clone()).collect();
            let nearest = nearest_of(asked, known.iter().map(String::as_str));
            return Err(WhyError::Credential { asked: asked.into(), nearest, known });
        };
        let question = format!("use {asked} {host}");
        if let Some(logins) = credential.logins() {
            let of =
                |names: &str| names.split(',').any(|name| name == "*" || name == host.to_string());
            let signs = logins.hosts.iter().any(|one| of(&one.names));
            return Ok(self.of_login(question, credential, signs));
        }
        let about = self.policy.network.rules.about(host);
        if let Some(rule) = about.bearing(asked) {
            let mut answer = self.answer(question, Outcome::Allowed, &credential.clause);
            answer.notes.push(format!(
                "by {}: requests bear it {}",
                rule.clause,
                shown(&credential.inject)
            ));
            answer.notes.extend(notes(rule, false, true));
            return Ok(answer);
        }
        let mut answer = self.answer(question, Outcome::Denied, &credential.clause);
        answer.code = Some("foreign-credential".into());
        answer.why =
            "no rule for this host bears it: what stands in for it is refused there".into();
        answer.hears = Some("HTTP 403".into());
        let policy = format!("network.allow = [{{ host = \"{host}\", credential = \"{asked}\" }}]");
        answer.fix = Some(Fix { option: String::new(), policy });
        Ok(answer)
    }

    fn of_login(&self, question: String, credential: &Credential, signs: bool) -> Answer {
        let verdict = if signs { Outcome::Allowed } else { Outcome::Denied };
        let mut answer = self.answer(question, verdict, &credential.clause);
        if signs {
            answer.notes.push(format!("it is used {}", shown(&credential.inject)));
            return answer;
        }
        answer.code = Some("login-not-allowed".into());
        answer.why = "the agent inside signs for other hosts alone".into();
        answer.hears = Some("a refusal of the agent's".into());
        let policy = format!("name the host and its key in {}", credential.clause);
        answer.fix = Some(Fix { option: String::new(), policy });
        answer
    }
}

fn shown(inject: &Inject) -> String {
    inject.shown()
}

/// What the judge says of a request without fields.
fn requested<'r>(
    about: &About<'r>,
    (port, protocol): (u16, Protocol),
    method: &str,
    target: &str,
) -> Decision<'r> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let request = Request { method, path, query, headers: &[], websocket: false };
    about.decide_request(port, protocol, &request)
}

/// What a rule that allows asks besides, or cannot see.
fn notes(rule: &Allowed, asked: bool, inside: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if !inside {
        notes.push("nobody looks into it: whatever is asked there goes".to_owned());
    }
    let besides = show::asked(rule, LISTED);
    if !besides.is_empty() && inside {
        let which = if asked { "the rule asks in all" } else { "each request is judged" };
        notes.push(format!("{which}: {}", besides.join(", ")));
    }
    if rule.dial.is_none() {
        notes.push(ADDRESSES.to_owned());
    }
    notes
}
