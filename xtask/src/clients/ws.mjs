const socket = new WebSocket(process.argv[2]);
socket.onopen = () => socket.send("node");
socket.onmessage = (message) => { console.log(message.data); process.exit(0); };
socket.onerror = (fault) => { console.error(fault.message ?? fault); process.exit(1); };
