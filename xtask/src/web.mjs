// Both ends of requests in TLS: HTTP/1.1 and HTTP/2 by ALPN, and WebSocket.
//
// server CERTIFICATE KEY: prints its port; ends when its input does. `/flood` is 1 GiB, `/big` 600 KiB,
// `/events` five events, `/echo` the body, `/records/MIB` so much of JSON, `/swallow` how long the body was,
// anything else a line.
// client SECONDS: talks by every way at once, checks every answer, says when it is quiet and busy, and how
// many requests it has made by way and verdict: as many records must there be.
import crypto from "node:crypto";
import fs from "node:fs";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import tls from "node:tls";

const LARGE = Buffer.alloc(600 << 10, "x");
const PIECE = Buffer.alloc(256 << 10, "x");
const FLOOD_PIECES = (1 << 30) / PIECE.length;
const RECORDS = Buffer.alloc(256 << 10);
for (let at = 0, i = 0; at < RECORDS.length; i++) {
  const [id, token] = [i * 7919, crypto.createHash("sha256").update(`${i}`).digest("base64")];
  const text = `a line\nof "text" number ${i}`;
  at += RECORDS.write(JSON.stringify({ id, token, text, url: `https://web.test/${i}?of=${id}&as=x` }) + "\n", at);
}
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** A piece so many times, as fast as it is taken. */
async function pour(response, piece, times) {
  for (let i = 0; i < times && !response.destroyed; i++) {
    if (!response.write(piece)) await new Promise((done) => {
      const end = () => done(response.off("drain", end).off("close", end));
      response.on("drain", end).on("close", end);
    });
  }
  response.end();
}

function serve(certificate, key) {
  const options = { cert: fs.readFileSync(certificate), key: fs.readFileSync(key), allowHTTP1: true };
  const server = http2.createSecureServer(options, async (request, response) => {
    request.on("error", () => {});
    response.on("error", () => {});
    if (request.url === "/echo") return request.pipe(response);
    if (request.url === "/swallow") {
      let length = 0;
      request.on("data", (piece) => (length += piece.length)).on("end", () => response.end(`${length}\n`));
      return;
    }
    request.resume();
    if (request.url === "/big") return response.end(LARGE);
    if (request.url === "/events") {
      response.setHeader("content-type", "text/event-stream");
      for (let i = 0; i < 5; i++) {
        response.write(`data: ${i}\n\n`);
        await sleep(40);
      }
      return response.end();
    }
    if (request.url === "/flood") return pour(response, PIECE, FLOOD_PIECES);
    if (request.url.startsWith("/records/")) {
      response.setHeader("content-type", "application/json");
      return pour(response, RECORDS, Number(request.url.slice(9)) * 4);
    }
    response.end("hello\n");
  });
  server.on("upgrade", (request, socket) => {
    const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    const accept = crypto.createHash("sha1").update(request.headers["sec-websocket-key"] + guid).digest("base64");
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    let kept = Buffer.alloc(0);
    socket.on("error", () => {}).on("data", (bytes) => {
      kept = Buffer.concat([kept, bytes]);
      // Frames of ours are short: two bytes of head, four of mask.
      while (kept.length >= 6 && kept.length >= 6 + (kept[1] & 127)) {
        const size = kept[1] & 127, body = Buffer.from(kept.subarray(6, 6 + size));
        for (let i = 0; i < size; i++) body[i] ^= kept[2 + (i % 4)];
        socket.write(Buffer.concat([Buffer.from([kept[0], size]), body]));
        if ((kept[0] & 15) === 8) socket.end();
        kept = kept.subarray(6 + size);
      }
    });
  });
  server.on("sessionError", () => {}).on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
  process.stdin.resume().on("end", () => process.exit(0));
}

const HOST = "web.test";

/** A connection with TLS to the host: to its address, or by `CONNECT`. */
async function open(way, protocol) {
  let socket;
  if (way === "proxy") {
    socket = net.connect(3128, "198.18.0.1");
    socket.setNoDelay(true);
    socket.write(`CONNECT ${HOST}:443 HTTP/1.1\r\nHost: ${HOST}:443\r\n\r\n`);
    const [head] = await new Promise((done, failed) => {
      socket.once("data", (bytes) => done([bytes.toString()])).once("error", failed);
    });
    if (!head.startsWith("HTTP/1.1 200 ")) throw new Error(head);
  }
  const secure = tls.connect({ socket, host: HOST, port: 443, servername: HOST, ALPNProtocols: [protocol] });
  await new Promise((done, failed) => secure.once("secureConnect", done).once("error", failed));
  secure.setNoDelay(true);
  return secure;
}

function check(path, status, body, sent) {
  const want = { "/echo": sent, "/big": LARGE }[path];
  const right = path === "/denied" ? status === 403 : status === 200;
  const whole = path === "/events" ? body.toString().split("data: ").length === 6 : !want || want.equals(body);
  if (!right || !whole) throw new Error(`${path}: ${status}, ${body.length} bytes`);
}

async function one(secure, path, sent) {
  const method = sent ? "POST" : "GET";
  const request = https.request({ host: HOST, path, method, headers: { host: HOST }, createConnection: () => secure });
  const body = [];
  const status = await new Promise((done, failed) => {
    request.on("error", failed).on("response", (response) => {
      response.on("data", (piece) => body.push(piece)).on("end", () => done(response.statusCode)).on("error", failed);
    });
    request.end(sent);
  });
  check(path, status, Buffer.concat(body), sent);
}

async function two(session, path, sent) {
  const stream = session.request({ ":path": path, ":method": sent ? "POST" : "GET" });
  const body = [];
  let status = 0;
  await new Promise((done, failed) => {
    stream.on("response", (fields) => (status = fields[":status"]));
    stream.on("data", (piece) => body.push(piece)).on("end", done).on("error", failed);
    stream.end(sent);
  });
  check(path, status, Buffer.concat(body), sent);
}

async function websocket(secure) {
  secure.write(`GET /ws HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`);
  let kept = Buffer.alloc(0), wake = () => {};
  secure.on("data", (bytes) => ((kept = Buffer.concat([kept, bytes])), wake())).on("close", () => wake());
  const until = async (there) => {
    while (!there()) {
      if (secure.destroyed) throw new Error("a WebSocket that ended");
      await new Promise((done) => (wake = done));
    }
  };
  await until(() => kept.includes("\r\n\r\n"));
  if (!kept.toString().startsWith("HTTP/1.1 101 ")) throw new Error(kept.toString());
  kept = kept.subarray(kept.indexOf("\r\n\r\n") + 4);
  for (let i = 0; i < 20; i++) {
    // A mask of nothing leaves the body as it is.
    secure.write(Buffer.concat([Buffer.from([0x81, 0x85, 0, 0, 0, 0]), Buffer.from("hello")]));
    await until(() => kept.length >= 7);
    if (kept.subarray(2, 7).toString() !== "hello") throw new Error("another frame");
    kept = kept.subarray(7);
    await sleep(20);
  }
  secure.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
  await until(() => kept.length >= 2);
}

const CARRIERS = 60;
const PATHS = ["/x", "/big", "/echo", "/events", "/x"];

async function carry(number, until, made) {
  const sent = Buffer.alloc(64 << 10, "y");
  const add = (way, verdict) => (made[`${way} ${verdict}`] = (made[`${way} ${verdict}`] ?? 0) + 1);
  for (let kind = number; Date.now() < until; kind++) {
    const way = kind % 2 ? "proxy" : "direct";
    const body = (path) => (path === "/echo" ? sent : undefined);
    switch (Math.floor(kind / 2) % 4) {
      case 0: {
        const secure = await open(way, "http/1.1");
        await one(secure, PATHS[kind % 5], body(PATHS[kind % 5]));
        add(way, "allowed");
        secure.destroy();
        break;
      }
      case 1: {
        const secure = await open(way, "h2");
        const session = http2.connect(`https://${HOST}`, { createConnection: () => secure });
        await Promise.all(PATHS.map((path) => two(session, path, body(path)).then(() => add(way, "allowed"))));
        // By one way alone: many alike are summed, whichever way they came.
        if (way === "proxy") {
          await two(session, "/denied");
          add(way, "denied");
        }
        session.close();
        break;
      }
      case 2: {
        const secure = await open("proxy", "http/1.1");
        await one(secure, "/denied");
        add("proxy", "denied");
        secure.destroy();
        break;
      }
      default: {
        const secure = await open(way, "http/1.1");
        await websocket(secure);
        add(way, "allowed");
        secure.destroy();
      }
    }
    await sleep(60);
  }
}

async function client(seconds) {
  console.log("quiet");
  await sleep(3000);
  console.log("busy");
  const made = {}, until = Date.now() + seconds * 1000;
  await Promise.all(Array.from({ length: CARRIERS }, (_, number) => carry(number, until, made)));
  for (const [what, count] of Object.entries(made)) console.log(`made ${what} ${count}`);
  console.log("quiet");
  // Longer than what is kept for a while on either side.
  await sleep(6000);
  console.log("over");
  process.exit(0);
}

const [what, ...words] = process.argv.slice(2);
if (what === "server") serve(...words);
else await client(Number(words[0]));
