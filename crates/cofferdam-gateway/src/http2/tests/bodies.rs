//! Bodies: streams, bounds, what is judged by its body.

use super::*;

#[test]
fn both_directions_stream() {
    with(Requests::default(), None, |mut world| async move {
        // As gRPC does: the answer's head comes before the first message.
        let asked = request(Method::POST, "/a.B/C");
        let (answer, mut up) = world.ready().await.send_request(asked, false).unwrap();
        let (got, mut respond) = world.host.recv().await.unwrap();
        let mut down = respond.send_response(ok(), false).unwrap();
        let mut from = answer.await.unwrap().into_body();
        let mut at_host = got.into_body();
        for round in 0..50_u8 {
            send(&mut up, &[round; 1_000], false).await.unwrap();
            let piece = at_host.data().await.unwrap().unwrap();
            at_host.flow_control().release_capacity(piece.len()).unwrap();
            assert_eq!(piece.as_ref(), &[round; 1_000]);
            send(&mut down, &[round; 2_000], false).await.unwrap();
            let piece = from.data().await.unwrap().unwrap();
            from.flow_control().release_capacity(piece.len()).unwrap();
            assert_eq!(piece.as_ref(), &[round; 2_000]);
        }
        up.send_data(Bytes::new(), true).unwrap();
        assert_eq!(all(at_host).await, (Vec::new(), None));
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        down.send_trailers(trailers.clone()).unwrap();
        assert_eq!(all(from).await, (Vec::new(), Some(trailers)));
        assert_eq!(world.events(1).await, ["POST /a.B/C 50000 100000 200"]);
    });
}

#[test]
fn an_answer_of_trailers_alone_has_no_body() {
    with(Requests::default(), None, |mut world| async move {
        let asked = request(Method::POST, "/a.B/C");
        let (answer, mut up) = world.ready().await.send_request(asked, false).unwrap();
        up.send_data(Bytes::from_static(b"\0\0\0\0\0"), true).unwrap();
        let (_, mut respond) = world.host.recv().await.unwrap();
        let mut response = ok();
        response.headers_mut().insert("grpc-status", "12".parse().unwrap());
        respond.send_response(response, true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "12");
        assert!(answer.body().is_end_stream());
        let events = world.events(1).await;
        assert!(events.len() == 1 && events[0].ends_with(" 0 200"), "{events:?}");
    });
}

#[test]
fn who_does_not_read_is_not_sent_to() {
    const ALL: usize = 8 << 20;
    let most = usize::try_from(STREAM_WINDOW_BYTES + CONNECTION_WINDOW_BYTES).unwrap();
    with(Requests::default(), None, |mut world| async move {
        let asked = request(Method::POST, "/up");
        let (answer, mut up) = world.ready().await.send_request(asked, false).unwrap();
        let (got, mut respond) = world.host.recv().await.unwrap();
        let gone = Rc::new(Cell::new(0));
        let counted = Rc::clone(&gone);
        spawn_local(async move {
            for _ in 0..ALL / 1_024 {
                send(&mut up, &[7; 1_024], false).await.unwrap();
                counted.set(counted.get() + 1_024);
            }
            up.send_data(Bytes::new(), true).unwrap();
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(gone.get() > 0 && gone.get() < most, "{} bytes wait somewhere", gone.get());
        assert_eq!(all(got.into_body()).await.0.len(), ALL, "and none is lost");

        let mut down = respond.send_response(ok(), false).unwrap();
        let gone = Rc::new(Cell::new(0));
        let counted = Rc::clone(&gone);
        spawn_local(async move {
            for _ in 0..ALL / 1_024 {
                send(&mut down, &[7; 1_024], false).await.unwrap();
                counted.set(counted.get() + 1_024);
            }
            down.send_data(Bytes::new(), true).unwrap();
        });
        let body = answer.await.unwrap().into_body();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(gone.get() > 0 && gone.get() < most, "{} bytes wait somewhere", gone.get());
        assert_eq!(all(body).await.0.len(), ALL, "and none is lost");
        assert_eq!(world.events(1).await, [format!("POST /up {ALL} {ALL} 200")]);
    });
}

#[test]
fn one_stalled_stream_does_not_stop_another() {
    with(Requests::default(), None, |mut world| async move {
        let (stalled, _) = world.ready().await.send_request(get("/stalled"), true).unwrap();
        let (_, mut respond) = world.host.recv().await.unwrap();
        let mut down = respond.send_response(ok(), false).unwrap();
        spawn_local(async move { drop(send(&mut down, &[7; 4 << 20], true).await) });
        let _unread = stalled.await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        answers(world.host, &[7; 500_000]);
        let (answer, _) =
            world.client.clone().ready().await.unwrap().send_request(get("/"), true).unwrap();
        assert_eq!(all(answer.await.unwrap().into_body()).await.0.len(), 500_000);
    });
}

fn bounded() -> Requests {
    Requests {
        max_request_bytes: Some(1_000),
        max_response_bytes: Some(2_000),
        ..Requests::default()
    }
}

#[test]
fn requests_are_as_long_as_the_rule_allows() {
    for (told, length, want, status) in [
        (false, 1_000, "POST / 1000 0 200", 200),
        (true, 1_000, "POST / 1000 0 200", 200),
        (true, 1_001, "POST / 0 0 RequestTooLarge(1000) 413", 413),
        (false, 1_001, "POST / 0 0 RequestTooLarge(1000) 413", 413),
    ] {
        with(bounded(), None, |mut world| async move {
            let mut asked = request(Method::POST, "/");
            if told {
                asked.headers_mut().insert("content-length", length.into());
            }
            let (answer, mut up) = world.ready().await.send_request(asked, false).unwrap();
            spawn_local(async move {
                drop(send(&mut up, &vec![7; length], true).await);
            });
            spawn_local(async move {
                while let Some((got, mut respond)) = world.host.recv().await {
                    let mut body = got.into_body();
                    while let Some(Ok(_)) = body.data().await {}
                    drop(respond.send_response(ok(), true));
                }
            });
            assert_eq!(answer.await.unwrap().status(), status, "{told} {length}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert_eq!(*world.judge.events.borrow(), [want]);
        });
    }
}

#[test]
fn answers_are_as_long_as_the_rule_allows() {
    for (told, length, want) in [
        (false, 2_000, Ok("GET / 0 2000 200")),
        (true, 2_000, Ok("GET / 0 2000 200")),
        (true, 2_001, Err("GET / 0 0 ResponseTooLarge(2000) 403")),
        (false, 2_001, Err("GET / 0 0 200 ResponseTooLarge(2000)")),
    ] {
        with(bounded(), None, |mut world| async move {
            let (answer, _) = world.ready().await.send_request(get("/"), true).unwrap();
            let (_, mut respond) = world.host.recv().await.unwrap();
            let mut response = ok();
            if told {
                response.headers_mut().insert("content-length", length.into());
            }
            let mut down = respond.send_response(response, false).unwrap();
            spawn_local(async move { drop(send(&mut down, &vec![7; length], true).await) });
            let answer = answer.await.unwrap();
            let status = answer.status().as_u16();
            let mut body = answer.into_body();
            let read = body.data().await.unwrap();
            match want {
                Ok(_) => assert!(status == 200 && read.is_ok()),
                Err(_) if told => assert_eq!(status, 403, "an answer, since nothing has gone out"),
                Err(_) => assert_eq!(read.unwrap_err().reason(), Some(Reason::CANCEL)),
            }
            let (Ok(event) | Err(event)) = want;
            assert_eq!(world.events(1).await, [event]);
        });
    }
}

#[test]
fn graphql_is_judged_by_its_body_and_sent_as_it_was() {
    let requests = Requests { graphql: Some(GraphQl::Query), ..Requests::default() };
    let long =
        format!("{{\"query\":\"{{a}}\",\"variables\":{{\"b\":\"{}\"}}}}", "c".repeat(900_000));
    let too_long = "c".repeat(crate::graphql::BODY_BYTES_MAX + 1);
    for (body, passes) in [
        ("{\"query\" : \"{a}\"}", true),
        (&long, true),
        ("{\"query\":\"mutation{a}\"}", false),
        (&too_long, false),
        ("", false),
    ] {
        let body = body.to_owned();
        with(requests.clone(), None, |mut world| async move {
            let mut asked = request(Method::POST, "/graphql");
            asked.headers_mut().insert("content-type", "application/json".parse().unwrap());
            let (answer, mut up) =
                world.ready().await.send_request(asked, body.is_empty()).unwrap();
            let sent = body.clone();
            spawn_local(async move { drop(send(&mut up, sent.as_bytes(), true).await) });
            if passes {
                let (got, mut respond) = world.host.recv().await.unwrap();
                assert!(all(got.into_body()).await.0 == body.as_bytes(), "byte by byte");
                respond.send_response(ok(), true).unwrap();
                assert_eq!(answer.await.unwrap().status(), 200);
            } else {
                assert_eq!(answer.await.unwrap().status(), 403);
                let events = world.events(1).await;
                assert!(
                    events.len() == 1 && events[0].contains(" 0 0 Content(\"graphql-"),
                    "{events:?}"
                );
                assert_eq!(world.judge.connected.get(), 0, "nothing was sent");
            }
        });
    }
}

#[test]
fn a_push_is_read_as_it_passes() {
    use cofferdam_policy::judge::requests::{GitAccess, Repository};
    let git = vec![Repository { path: "a/b".into(), access: GitAccess::Write }];
    let (old, new) = ("1".repeat(40), "2".repeat(40));
    let line = format!("{old} {new} refs/heads/main\0report-status");
    let good = format!("{:04x}{line}0000PACK and more", line.len() + 4);
    for (body, want) in [(good.as_str(), "200 pushes refs/heads/main"), ("0003", "Content(\"git-")]
    {
        let body = Bytes::copy_from_slice(body.as_bytes());
        with(Requests { git: git.clone(), ..Requests::default() }, None, |mut world| async move {
            let asked = request(Method::POST, "/a/b.git/git-receive-pack");
            let (answer, mut up) = world.ready().await.send_request(asked, false).unwrap();
            up.send_data(body.clone(), true).unwrap();
            let (got, mut respond) = world.host.recv().await.unwrap();
            let mut at_host = got.into_body();
            let piece = at_host.data().await.unwrap();
            if let Ok(piece) = &piece {
                assert_eq!(*piece, body);
                respond.send_response(ok(), true).unwrap();
            }
            assert_eq!(answer.await.unwrap().status() == 200, piece.is_ok());
            let events = world.events(1).await;
            assert!(events.len() == 1 && events[0].contains(want), "{events:?}");
        });
    }
}

#[test]
fn what_is_held_is_asked_for() {
    let requests = Requests { graphql: Some(GraphQl::Query), ..Requests::default() };
    with(requests, None, |mut world| async move {
        let mut asked = request(Method::POST, "/graphql");
        asked.headers_mut().insert("content-type", "application/json".parse().unwrap());
        asked.headers_mut().insert("expect", "100-continue".parse().unwrap());
        let (mut answer, mut up) = world.ready().await.send_request(asked, false).unwrap();
        let go_on = std::future::poll_fn(|task| answer.poll_informational(task)).await;
        assert_eq!(go_on.unwrap().unwrap().status(), 100);
        up.send_data(Bytes::from_static(b"{\"query\":\"{a}\"}"), true).unwrap();
        let (got, _respond) = world.host.recv().await.unwrap();
        assert!(!got.headers().contains_key("expect"), "it is there already");
    });
}

#[test]
fn fields_behind_a_body_are_not_those_of_a_head() {
    with(Requests::default(), None, |mut world| async move {
        let mut trailers = HeaderMap::new();
        trailers.insert("host", "evil.test".parse().unwrap());
        let asked = request(Method::POST, "/");
        let (answer, mut up) = world.ready().await.send_request(asked, false).unwrap();
        up.send_trailers(trailers).unwrap();
        assert_eq!(answer.await.unwrap().status(), 403);
        let (got, _respond) = world.host.recv().await.unwrap();
        assert!(got.into_body().trailers().await.is_err(), "the host does not see its end");
        assert_eq!(world.events(1).await, ["POST / 0 0 Trailer 403"]);
    });
}
