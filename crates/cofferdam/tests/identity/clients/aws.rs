//! boto3, which signs with what stands in; the origin verifies the signature with the real key.

use super::fetched::python;
use super::{Client, field};
use crate::internet::Internet;
use crate::lodging::bound;

/// Temporary keys, with a token; and lasting ones.
const TEMPORARY: &str = "ASIAR3ALKEY0FPERS0N1:R3alS3cretOfTh1sP3rson/abcdefgh+01234567:R3alSess10nT0ken/of+Th1sP3rson0123456789==";
const LASTING: &str = "AKIAR3ALKEY0FPERS0N1:R3alS3cretOfTh1sP3rson/abcdefgh+01234567";
const OTHERS: &str = "AKIA0THERPERS0NSKEY2:0th3rP3rsonsS3cret/abcdefghijk+98765432";
/// The name of it that its owner shows: the first part.
const NAMES: [&str; 2] = ["ASIAR3ALKEY0FPERS0N1", "AKIAR3ALKEY0FPERS0N1"];

/// `$KEY` in its parts.
const PLANTS: &str = "
export AWS_ACCESS_KEY_ID=$(printf %s \"$KEY\" | cut -d: -f1)
export AWS_SECRET_ACCESS_KEY=$(printf %s \"$KEY\" | cut -d: -f2)
export AWS_SESSION_TOKEN=$(printf %s \"$KEY\" | cut -d: -f3)
[ -n \"$AWS_SESSION_TOKEN\" ] || unset AWS_SESSION_TOKEN
";

fn signs(service: &str, secret: &str, env: &str, act: &str) {
    let Some(net) = Internet::take() else { return };
    let Some(packages) = python(&net, "boto3", &["boto3==1.40.0", "botocore==1.40.0"]) else {
        return;
    };
    let played = net.www().join("played");
    std::fs::create_dir_all(&played).unwrap();
    std::fs::write(played.join("aws.py"), include_str!("aws.py")).unwrap();
    std::fs::write(played.join("aws.keys"), secret).unwrap();
    let act = format!(
        "import boto3, botocore.config as c\n\
         client = boto3.client('{service}', region_name='eu-central-1', endpoint_url='https://new.test/played/aws',\n    \
         config=c.Config(request_checksum_calculation='when_required', retries=dict(total_max_attempts=1), s3=dict(addressing_style='path')))\n{act}"
    );
    net.place.write("home/src/app/act.py", &act);
    let grant = format!("[[filesystem.grant]]\npath = '{packages}'\nmode = 'read-only'\n");
    let credential = format!(
        "[credentials.api]\nsource = {{ env = 'API_SECRET' }}\nenv = [{env}]\n\
         inject = {{ sigv4 = {{ service = '{service}', region = 'eu-central-1' }} }}\n"
    );
    Client {
        name: service,
        secret,
        others: OTHERS,
        rules: format!("{grant}{}{credential}", bound("")),
        plants: PLANTS,
        works: &format!(
            "PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={packages} /usr/bin/python3 act.py 2>&1"
        ),
        shows: &|one| {
            let signed = field(one, "authorization");
            NAMES.iter().any(|name| signed.iter().any(|value| value.contains(name)))
        },
    }
    .bears(&net);
}

/// A JSON body, and a token that is signed too.
#[test]
fn boto3_asks_with_temporary_keys() {
    let env = "'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'";
    signs("dynamodb", TEMPORARY, env, "assert client.list_tables()['TableNames'] == ['one']\n");
}

/// Names that are written with percent signs, parameters, and a body whose hash is stated. A body in pieces
/// (`aws-chunked`), which boto3 sends when nobody says otherwise, is not looked into, and so refused.
#[test]
fn boto3_stores_with_lasting_keys() {
    let act = "
assert client.list_objects_v2(Bucket='one', Prefix='a b/\u{fc}')['KeyCount'] == 1
assert client.put_object(Bucket='one', Key='a b/\u{fc}+~.txt', Body=b'what is kept')['ETag'] == '\"put\"'
";
    signs("s3", LASTING, "'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'", act);
}
