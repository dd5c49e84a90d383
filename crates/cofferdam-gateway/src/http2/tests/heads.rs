//! What is read of a request, what goes on, and what comes back.

use super::*;

#[test]
fn a_request_goes_on_as_it_was_judged() {
    with(Requests::default(), None, |mut world| async move {
        let mut asked = request(Method::POST, "/a/b?c=%20d");
        let fields = [
            ("host", "good.test:443"),
            ("te", "trailers"),
            ("x-http-method-override", "DELETE"),
            ("X-HTTP-Method", "DELETE"),
            ("x-method-override", "DELETE"),
            ("x_http_method", "DELETE"),
            ("x-original-url", "/admin"),
            ("x_rewrite_url", "/admin"),
            ("proxy-authorization", "secret"),
            ("http2-settings", "a"),
            ("cookie", "a=b"),
            ("cookie", "c=d"),
            ("x-odd", "\u{e9}"),
        ];
        for (name, value) in fields {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
            asked.headers_mut().append(name, value);
        }
        let (answer, mut body) = world.ready().await.send_request(asked, false).unwrap();
        body.send_data(Bytes::from_static(b"hello"), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        body.send_trailers(trailers.clone()).unwrap();

        let (got, mut respond) = world.host.recv().await.unwrap();
        assert_eq!(got.method(), Method::POST);
        assert_eq!(got.uri(), "https://good.test/a/b?c=%20d");
        let shown = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            format!("{name}={}", value.as_bytes().escape_ascii())
        };
        let shown: Vec<String> = got.headers().iter().map(shown).collect();
        assert_eq!(shown, ["cookie=a=b", "cookie=c=d", "x-odd=\\xc3\\xa9", "te=trailers"]);
        assert_eq!(all(got.into_body()).await, (b"hello".to_vec(), Some(trailers.clone())));

        let mut response = ok();
        for (name, value) in [("alt-svc", "h3=\":443\""), ("x-a", "b"), ("proxy-status", "c")] {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        let mut to = respond.send_response(response, false).unwrap();
        send(&mut to, b"world", false).await.unwrap();
        to.send_trailers(trailers.clone()).unwrap();
        let (parts, body) = answer.await.unwrap().into_parts();
        assert_eq!(parts.headers.len(), 1, "no other way, nothing of a proxy's");
        assert_eq!(parts.headers["x-a"], "b");
        assert_eq!(all(body).await, (b"world".to_vec(), Some(trailers)));
        assert_eq!(world.events(1).await, ["POST /a/b?c=%20d 5 5 200"]);
    });
}

/// Changes of a good request, its event, and the status.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str, u16);

#[test]
fn a_request_for_somebody_else_is_refused() {
    let rows: &[Row] = &[
        ("GET", "https://good.test/", &[("host", "good.test")], "GET / 0 0 200", 200),
        ("GET", "https://good.test:443/", &[("host", "GOOD.test.")], "GET / 0 0 200", 200),
        ("GET", "https://GOOD.test/", &[], "GET / 0 0 200", 200),
        ("OPTIONS", "*", &[], "OPTIONS * 0 0 200", 200),
        ("GET", "https://evil.test/a", &[], "GET /a host-mismatch", 421),
        ("GET", "https://good.test:8443/a", &[], "GET /a host-mismatch", 421),
        ("GET", "https://evil.test/", &[("host", "good.test")], "? http-host-differs", 400),
        ("GET", "https://good.test/", &[("host", "evil.test")], "? http-host-differs", 400),
        (
            "GET",
            "https://good.test/",
            &[("host", "good.test"), ("host", "good.test")],
            "? http-host-twice",
            400,
        ),
        ("GET", "https://user@good.test/", &[], "? authority-userinfo", 400),
        ("GET", "http://good.test/", &[], "? http-scheme", 400),
        ("GET", "ftp://good.test/", &[], "? http-scheme", 400),
        ("CONNECT", "good.test:443", &[], "? http-connect", 400),
        ("TRACE", "https://good.test/", &[], "TRACE / http-echo", 405),
        ("track", "https://good.test/", &[], "track / http-echo", 405),
        ("GETGETGETGETGETGETGETGETGETGETGETGET", "https://good.test/", &[], "? http-method", 400),
        ("GET", "https://good.test/a\\b", &[], "? http-target-byte", 400),
        ("GET", "https://good.test/a?b%20\u{e9}", &[], "? http-target-byte", 400),
        ("GET", "https://good.test/", &[("x", " a")], "? http-blank", 400),
        ("GET", "https://good.test/", &[("x", "a\t")], "? http-blank", 400),
        ("POST", "https://good.test/", &[("content-length", "00")], "? http-length", 400),
        (
            "POST",
            "https://good.test/",
            &[("content-length", "0"), ("content-length", "0")],
            "? http-length",
            400,
        ),
    ];
    for (method, uri, fields, want, status) in rows {
        with(Requests::default(), None, |world| async move {
            let host = world.host;
            answers(host, b"");
            let uri: Uri = if *uri == "*" {
                Uri::builder().scheme("https").authority("good.test").path_and_query("*").build()
            } else {
                uri.parse::<Uri>().map_err(http::Error::from)
            }
            .unwrap();
            let mut asked = Message::builder().method(*method).uri(uri.clone());
            for (name, value) in *fields {
                asked = asked.header(*name, *value);
            }
            let ready = world.client.clone().ready().await;
            let sent = ready.unwrap().send_request(asked.body(()).unwrap(), true);
            let (parts, body) = sent.unwrap().0.await.unwrap().into_parts();
            assert_eq!(parts.status, *status, "{method} {uri} {fields:?}");
            let (body, _) = all(body).await;
            assert_eq!(body.is_empty(), *status == 200, "says why");
            let events = world.judge.events.borrow().clone();
            assert_eq!(events, [*want], "{method} {uri} {fields:?}");
            // The same connection carries the next request.
            let next = world.client.clone().ready().await.unwrap().send_request(get("/next"), true);
            assert_eq!(next.unwrap().0.await.unwrap().status(), 200);
        });
    }
}

#[test]
fn a_refusal_is_an_answer_and_the_connection_stays() {
    with(Requests::default(), Some("/no"), |mut world| async move {
        let (parts, body) = world.ask(get("/no")).await;
        assert_eq!((parts.status.as_u16(), body.as_slice()), (403, &b"{\"no\":1}\n"[..]));
        assert_eq!(parts.headers["content-type"], "application/json");
        assert_eq!(parts.headers["x-cofferdam"], "denied");
        assert_eq!(parts.headers["retry-after"], "7");
        let (parts, body) = world.ask(request(Method::HEAD, "/no")).await;
        assert_eq!((parts.status.as_u16(), body.len()), (403, 0), "HEAD has no body");
        // A body that nobody reads does not hold the connection up.
        for _ in 0..8 {
            let (answer, mut body) =
                world.ready().await.send_request(request(Method::POST, "/no"), false).unwrap();
            drop(send(&mut body, &[0; 200_000], true).await);
            assert_eq!(answer.await.unwrap().status(), 403);
        }
        answers(world.host, b"yes");
        let (answer, _) =
            world.client.clone().ready().await.unwrap().send_request(get("/"), true).unwrap();
        assert_eq!(all(answer.await.unwrap().into_body()).await.0, b"yes");
        assert_eq!(world.judge.events.borrow().len(), 11);
    });
}

#[test]
fn rules_take_fields_away_and_set_them() {
    let requests = Requests {
        remove_headers: vec!["cookie".into(), "te".into()],
        set_headers: vec![("authorization".into(), "ours".into())],
        ..Requests::default()
    };
    with(requests, None, |mut world| async move {
        let mut asked = get("/");
        for (name, value) in [("cookie", "a"), ("te", "trailers"), ("authorization", "theirs")] {
            asked.headers_mut().insert(name, value.parse().unwrap());
        }
        let _answer = world.ready().await.send_request(asked, true).unwrap();
        let (got, _respond) = world.host.recv().await.unwrap();
        assert_eq!(got.headers().len(), 1);
        assert_eq!(got.headers()["authorization"], "ours");
    });
    let unsayable =
        Requests { set_headers: vec![("a b".into(), "c".into())], ..Requests::default() };
    with(unsayable, None, |mut world| async move {
        assert_eq!(world.ask(get("/")).await.0.status, 403, "and nothing goes on");
        assert_eq!(world.events(1).await, ["GET / 0 0 Unsayable 403"]);
        assert_eq!(world.judge.connected.get(), 0);
    });
}

#[test]
fn announcements_pass() {
    with(Requests::default(), None, |mut world| async move {
        let (mut answer, _) = world.ready().await.send_request(get("/"), true).unwrap();
        let (_, mut respond) = world.host.recv().await.unwrap();
        for status in [100, 103] {
            let announced =
                Response::builder().status(status).header("link", "</a>").header("alt-svc", "b");
            respond.send_informational(announced.body(()).unwrap()).unwrap();
            let got = std::future::poll_fn(|task| answer.poll_informational(task)).await;
            let got = got.unwrap().unwrap();
            assert_eq!((got.status().as_u16(), got.headers().len()), (status, 1));
        }
        respond.send_response(ok(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
        assert_eq!(world.events(1).await, ["GET / 0 0 200"]);
    });
}
