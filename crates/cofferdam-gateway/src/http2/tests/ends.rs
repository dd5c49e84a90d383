//! How streams and connections end, and that each request has one event.

use super::*;

#[test]
fn a_clients_reset_reaches_the_host() {
    // Before the answer, and in the midst of it; with its body sent, and not.
    for (answered, is_last) in [(false, true), (false, false), (true, true), (true, false)] {
        with(Requests::default(), None, |mut world| async move {
            let asked = request(Method::POST, "/");
            let (answer, mut up) = world.ready().await.send_request(asked, is_last).unwrap();
            let (_got, mut respond) = world.host.recv().await.unwrap();
            let reason = if answered {
                let mut down = respond.send_response(ok(), false).unwrap();
                send(&mut down, b"a", false).await.unwrap();
                let mut body = answer.await.unwrap().into_body();
                body.data().await.unwrap().unwrap();
                up.send_reset(Reason::CANCEL);
                std::future::poll_fn(|task| down.poll_reset(task)).await
            } else {
                up.send_reset(Reason::CANCEL);
                std::future::poll_fn(|task| respond.poll_reset(task)).await
            };
            assert_eq!(reason.unwrap(), Reason::CANCEL, "{answered} {is_last}");
            let status = if answered { "1 200" } else { "0" };
            assert_eq!(world.events(1).await, [format!("POST / 0 {status}")]);
            answers(world.host, b"");
            let next = world.client.clone().ready().await.unwrap().send_request(get("/"), true);
            assert_eq!(next.unwrap().0.await.unwrap().status(), 200, "the connections stay");
            assert_eq!(world.judge.connected.get(), 1);
        });
    }
}

#[test]
fn a_hosts_reset_reaches_the_client() {
    for answered in [false, true] {
        with(Requests::default(), None, |mut world| async move {
            let (answer, _) = world.ready().await.send_request(get("/"), true).unwrap();
            let (_, mut respond) = world.host.recv().await.unwrap();
            let error = if answered {
                respond.send_response(ok(), false).unwrap();
                let mut body = answer.await.unwrap().into_body();
                respond.send_reset(Reason::HTTP_1_1_REQUIRED);
                body.data().await.unwrap().unwrap_err()
            } else {
                respond.send_reset(Reason::HTTP_1_1_REQUIRED);
                answer.await.unwrap_err()
            };
            assert_eq!(error.reason(), Some(Reason::HTTP_1_1_REQUIRED));
            let status = if answered { " 200" } else { "" };
            let want = format!("GET / 0 0{status} Reset(HTTP_1_1_REQUIRED)");
            assert_eq!(world.events(1).await, [want]);
        });
    }
}

#[test]
fn an_early_answer_ends_the_upload() {
    with(Requests::default(), None, |mut world| async move {
        let asked = request(Method::POST, "/");
        let (answer, mut up) = world.ready().await.send_request(asked, false).unwrap();
        let (got, mut respond) = world.host.recv().await.unwrap();
        respond.send_response(ok(), true).unwrap();
        drop((got, respond));
        assert_eq!(answer.await.unwrap().status(), 200, "whole, whatever became of the body");
        let reset = std::future::poll_fn(|task| up.poll_reset(task)).await;
        assert_eq!(reset.unwrap(), Reason::NO_ERROR, "nobody wants the rest");
        assert_eq!(world.events(1).await, ["POST / 0 0 200"]);
    });
}

#[test]
fn a_host_that_ends_is_asked_again_where_that_is_safe() {
    with(Requests::default(), None, |mut world| async move {
        // It was kept, and ends as the next request comes.
        let (answer, _) = world.ready().await.send_request(get("/first"), true).unwrap();
        world.host.recv().await.unwrap().1.send_response(ok(), true).unwrap();
        answer.await.unwrap();
        world.judge.ends.borrow_mut().pop_front().unwrap().abort();
        let (answer, _) = world.ready().await.send_request(get("/again"), true).unwrap();
        let (got, mut respond) = world.host.recv().await.unwrap();
        assert_eq!(got.uri().path(), "/again");
        respond.send_response(ok(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
        assert_eq!(world.judge.connected.get(), 2);
        // A body that has left is not sent twice.
        let asked = request(Method::POST, "/once");
        let (answer, mut up) = world.ready().await.send_request(asked, false).unwrap();
        send(&mut up, b"hello", false).await.unwrap();
        let (got, _respond) = world.host.recv().await.unwrap();
        got.into_body().data().await.unwrap().unwrap();
        world.judge.ends.borrow_mut().pop_front().unwrap().abort();
        assert_eq!(answer.await.unwrap().status(), 504);
        assert_eq!(world.judge.connected.get(), 2);
        let want = ["GET /first 0 0 200", "GET /again 0 0 200", "POST /once 5 0 NoAnswer 504"];
        assert_eq!(world.events(3).await, want);
    });
}

#[test]
fn a_host_that_ends_in_the_midst_of_an_answer_is_not_asked_again() {
    with(Requests::default(), None, |mut world| async move {
        let (answer, _) = world.ready().await.send_request(get("/"), true).unwrap();
        let (_, mut respond) = world.host.recv().await.unwrap();
        let mut down = respond.send_response(ok(), false).unwrap();
        send(&mut down, b"half", false).await.unwrap();
        let mut body = answer.await.unwrap().into_body();
        body.data().await.unwrap().unwrap();
        world.judge.ends.borrow_mut().pop_front().unwrap().abort();
        let error = body.data().await.unwrap().unwrap_err();
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "no whole body");
        assert_eq!(world.events(1).await, ["GET / 0 4 200 NoAnswer"]);
        assert_eq!(world.judge.connected.get(), 1);
    });
}

#[test]
fn a_stream_that_the_host_refuses_is_opened_again() {
    with(Requests::default(), None, |mut world| async move {
        let asked = request(Method::POST, "/");
        let (answer, _) = world.ready().await.send_request(asked, true).unwrap();
        let (_, mut respond) = world.host.recv().await.unwrap();
        respond.send_reset(Reason::REFUSED_STREAM);
        let (_, mut respond) = world.host.recv().await.unwrap();
        respond.send_response(ok(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
        assert_eq!(world.events(1).await, ["POST / 0 0 200"]);
        assert_eq!(world.judge.connected.get(), 1, "the connection is there still");
    });
}

#[test]
fn a_client_that_leaves_ends_everything_once() {
    with(Requests::default(), None, |mut world| async move {
        let mut kept = Vec::new();
        for at in 0..20 {
            let asked = request(Method::POST, &format!("/{at}"));
            kept.push(world.ready().await.send_request(asked, at % 2 == 0).unwrap());
        }
        let mut hosts = Vec::new();
        for at in 0..20 {
            let (got, mut respond) = world.host.recv().await.unwrap();
            let down = (at % 3 == 0).then(|| respond.send_response(ok(), false).unwrap());
            hosts.push((got, respond, down));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        world.driver.abort();
        drop(kept);
        let events = world.events(20).await;
        assert_eq!(events.len(), 20, "{events:?}");
        world.served.await.unwrap();
        for (_, mut respond, down) in hosts {
            let reset = match down {
                Some(mut down) => std::future::poll_fn(|task| down.poll_reset(task)).await,
                None => std::future::poll_fn(|task| respond.poll_reset(task)).await,
            };
            assert_eq!(reset.unwrap(), Reason::CANCEL);
        }
    });
}

#[test]
fn many_streams_pass_at_once() {
    with(Requests::default(), None, |world| async move {
        answers(world.host, b"hello");
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(world.client.current_max_send_streams(), 100);
        let mut asked = Vec::new();
        for at in 0..1_000 {
            let mut ready = world.client.clone().ready().await.unwrap();
            let (answer, _) = ready.send_request(get(&format!("/{at}")), true).unwrap();
            asked.push(spawn_local(async move { all(answer.await.unwrap().into_body()).await.0 }));
        }
        for answer in asked {
            assert_eq!(answer.await.unwrap(), b"hello");
        }
        assert_eq!(world.judge.connected.get(), 1);
        assert_eq!(world.judge.events.borrow().len(), 1_000);
    });
}

#[test]
fn who_opens_and_resets_without_end_is_shut_out() {
    with(Requests::default(), None, |world| async move {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < Duration::from_secs(10), "still there");
            let Ok(mut ready) = world.client.clone().ready().await else { break };
            for _ in 0..50 {
                let Ok((_, mut up)) = ready.send_request(get("/"), true) else { break };
                up.send_reset(Reason::CANCEL);
            }
            tokio::task::yield_now().await;
        }
        let error = world.driver.await.unwrap().unwrap_err();
        assert_eq!(error.reason(), Some(Reason::ENHANCE_YOUR_CALM));
    });
}

#[test]
fn heads_are_bounded() {
    with(Requests::default(), None, |mut world| async move {
        let mut asked = get("/");
        for at in 0..10 {
            let name = http::HeaderName::from_bytes(format!("x-{at}").as_bytes()).unwrap();
            asked.headers_mut().insert(name, "a".repeat(8_000).parse().unwrap());
        }
        let (parts, _) = world.ask(asked).await;
        assert_eq!(parts.status, 431);
        let mut many = get("/");
        for at in 0..200 {
            let name = http::HeaderName::from_bytes(format!("x-{at}").as_bytes()).unwrap();
            many.headers_mut().insert(name, "a".parse().unwrap());
        }
        assert_eq!(world.ask(many).await.0.status, 431);
        assert_eq!(world.events(1).await, ["? http-many-fields"], "of the one that could be read");
    });
}

#[test]
fn who_carries_nothing_can_be_sent_away() {
    with(Requests::default(), None, |mut world| async move {
        world.judge.idle.set(Some(Duration::from_millis(100)));
        let (answer, _) = world.ready().await.send_request(get("/"), true).unwrap();
        let (_, mut respond) = world.host.recv().await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!world.served.is_finished(), "it waits for an answer");
        respond.send_response(ok(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
        drop(world.client);
        world.served.await.unwrap();
        assert!(world.driver.await.unwrap().is_ok(), "with a friendly word");
    });
}
