// Serves the chat page: its own files, the client of dist/browser, and where the relay is.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';

const FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/chat.js': ['chat.js', 'text/javascript; charset=utf-8'],
  '/chat.css': ['chat.css', 'text/css; charset=utf-8'],
  '/msrpd.js': ['../../dist/browser/index.js', 'text/javascript; charset=utf-8'],
};

/** Listens on `host` and `port` (0: any free one); `relay`: the URI of the relay's WebSocket listener. */
export async function servePage({ host = '127.0.0.1', port = 0, relay }) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://page');
    const file = FILES[pathname];
    response.setHeader('Cache-Control', 'no-store');
    if (pathname === '/relay.json') {
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ relay }));
    } else if (file === undefined) {
      response.statusCode = 404;
      response.end();
    } else {
      response.setHeader('Content-Type', file[1]);
      response.end(readFileSync(fileURLToPath(new URL(file[0], import.meta.url))));
    }
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return server;
}
