//! GraphQL in a URL, as `GET` has it.

use super::{GraphQlFault, document, extensions};
use crate::json::{self, Json};

/// Judges what follows the `?`.
pub(super) fn judge(query: &str) -> Result<(), GraphQlFault> {
    let mut found: [Option<String>; 4] = Default::default();
    for parameter in query.split('&') {
        // Names are written plainly: one that has to be decoded is another to some servers. `;` parts
        // parameters for old ones.
        let (name, value) = parameter.split_once('=').ok_or(GraphQlFault::Parameter)?;
        let at = ["query", "operationName", "variables", "extensions"];
        let at = at.iter().position(|known| *known == name).ok_or(GraphQlFault::Parameter)?;
        let place = found.get_mut(at).ok_or(GraphQlFault::Parameter)?;
        if place.replace(decode(value)?).is_some() {
            return Err(GraphQlFault::Parameter);
        }
    }
    let [document, _operation_name, variables, more] = found;
    match variables.as_deref().map(json::read).transpose()? {
        None | Some(Json::Object(_) | Json::Null) => {}
        Some(Json::Text(_) | Json::Other | Json::List(_)) => return Err(GraphQlFault::Json),
    }
    match more.as_deref().map(json::read).transpose()? {
        None | Some(Json::Null) => {}
        Some(Json::Object(members)) => extensions(&members)?,
        Some(Json::Text(_) | Json::Other | Json::List(_)) => return Err(GraphQlFault::Json),
    }
    document::judge(&document.ok_or(GraphQlFault::NoDocument)?)
}

/// `%` and two digits are a byte, `+` is a blank, as forms have it. Outside strings of GraphQL a `+`
/// is only in numbers, so that a server to which it is a plus finds no other operation.
fn decode(value: &str) -> Result<String, GraphQlFault> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    let digit = |byte: Option<u8>| {
        let digit = byte.and_then(|byte| char::from(byte).to_digit(16));
        digit.and_then(|digit| u8::try_from(digit).ok()).ok_or(GraphQlFault::Parameter)
    };
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => digit(rest.next())? << 4 | digit(rest.next())?,
            b'+' => b' ',
            b';' => return Err(GraphQlFault::Parameter),
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| GraphQlFault::Parameter)
}
