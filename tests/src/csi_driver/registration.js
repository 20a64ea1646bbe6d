// Answers kubelet's plugin registration on a Unix socket: node -e THIS SOCKET PLUGIN_INFO_IN_HEX
'use strict';
const http2 = require('node:http2');
const [socket, info] = process.argv.slice(1);

function frame(message) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

const server = http2.createServer();
server.on('stream', (stream, headers) => {
  const asked = headers[':path'].endsWith('/GetInfo') ? Buffer.from(info, 'hex') : Buffer.alloc(0);
  stream.resume();
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.on('error', (error) => console.error(`kubelet's registration call broke off: ${error}`));
  stream.end(frame(asked));
});
server.listen(socket);
