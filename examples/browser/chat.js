// A chat over MSRP: messages and files, in both directions, with whoever has a path.
import { MsrpClient } from './msrpd.js';

const $ = (id) => document.getElementById(id);
/** Other tabs of this page find each other without a server; anybody else is reached by pasting a path. */
const tabs = new BroadcastChannel('msrp-chat');
const people = new Map();
/** Bars of files that come in, by Message-ID. */
const incoming = new Map();
let client;
let login;
let waitMs = 500;

const { relay } = await (await fetch('relay.json')).json();
$('relay').value = relay;

$('login').addEventListener('submit', (event) => {
  event.preventDefault();
  login = { relay: $('relay').value, user: $('user').value, password: $('password').value };
  void connect();
});

/** Logs in; when the connection is lost, again and again. */
async function connect() {
  say('connecting', 'connecting …');
  try {
    client = await MsrpClient.connect({ ...login, maxMessageBytes: 256 << 20, maxAssemblyBytes: 512 << 20 });
  } catch (error) {
    if (error.code === 'E_AUTH' || error.code === 'E_ARGUMENT') {
      say('offline', error.message);
      return;
    }
    later();
    return;
  }
  waitMs = 500;
  client.on('message', onMessage);
  client.on('progress', onProgress);
  client.on('aborted', (id) => incoming.get(id)?.entry.classList.add('failed'));
  client.on('closed', () => {
    tabs.postMessage({ type: 'gone', user: login.user });
    later();
  });
  $('path').value = client.path.join(' ');
  $('login').hidden = true;
  $('chat').hidden = false;
  say('online', `online as ${login.user}`);
  announce(true);
}

function later() {
  say('connecting', 'connection lost, trying again …');
  setTimeout(() => void connect(), waitMs);
  waitMs = Math.min(waitMs * 2, 10_000);
}

function announce(asks) {
  if (client !== undefined) tabs.postMessage({ type: 'here', user: login.user, path: $('path').value, asks });
}

tabs.addEventListener('message', ({ data }) => {
  if (data.type === 'gone') people.delete(data.user);
  else {
    const before = people.get(data.user);
    people.set(data.user, data.path);
    // Whoever has come back has another path.
    if (before !== undefined && $('peer').value === before) $('peer').value = data.path;
    if (data.asks) announce(false);
  }
  $('people').replaceChildren(
    ...Array.from(people, ([user, path]) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = user;
      button.addEventListener('click', () => {
        $('peer').value = path;
        $('text').focus();
      });
      return button;
    }),
  );
});

$('copy').addEventListener('click', () => void navigator.clipboard.writeText($('path').value));

$('send').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('text').value;
  if (text === '') return;
  $('text').value = '';
  void send(show(text, 'own'), { contentType: 'text/plain;charset=UTF-8', body: text });
});

$('file').addEventListener('change', () => {
  for (const file of $('file').files) {
    const entry = show(file.name, 'own');
    const bar = addBar(entry);
    void send(entry, {
      contentType: file.type === '' ? 'application/octet-stream' : file.type,
      body: file,
      headers: [['Content-Disposition', `attachment; filename="${file.name.replace(/["\\\p{Cc}]/gu, '_')}"`]],
      onProgress: (octets, total) => {
        bar.max = total;
        bar.value = octets;
      },
    });
  }
  $('file').value = '';
});

/** Sends to the path of the other side, and asks it to confirm. */
async function send(entry, message) {
  try {
    await client.send({ to: $('peer').value, successReport: true, ...message });
    entry.dataset.state = 'delivered';
  } catch (error) {
    entry.classList.add('failed');
    entry.append(` (${error.message})`);
  }
}

function onProgress(messageId, octets, total) {
  if (total === undefined || total < 65_536) return;
  if (!incoming.has(messageId)) {
    const entry = show('a file …');
    incoming.set(messageId, { entry, bar: addBar(entry) });
  }
  const { bar } = incoming.get(messageId);
  bar.max = total;
  bar.value = octets;
}

function onMessage(message) {
  const disposition = message.headers.find(([name]) => name.toLowerCase() === 'content-disposition')?.[1] ?? '';
  const name = /filename="([^"]*)"/.exec(disposition)?.[1];
  const { entry } = incoming.get(message.messageId) ?? {};
  incoming.delete(message.messageId);
  // Who has written first is who is answered; the way through the own relay is not part of that path.
  const path = message.fromPath.filter((uri) => !client.usePath.includes(uri));
  if ($('peer').value === '') $('peer').value = path.join(' ');
  if (message.contentType.startsWith('text/plain') && name === undefined && entry === undefined) {
    show(message.text());
    return;
  }
  const link = document.createElement('a');
  link.download = name ?? 'file';
  link.textContent = `${name ?? 'file'} (${message.octets} bytes)`;
  // Never opened here: what it is has been said by somebody else.
  link.href = URL.createObjectURL(new Blob([message.body], { type: 'application/octet-stream' }));
  (entry ?? show('')).replaceChildren(link);
}

function show(text, side = 'other') {
  const entry = document.createElement('li');
  entry.className = side;
  entry.textContent = text;
  $('messages').append(entry);
  entry.scrollIntoView({ block: 'end' });
  return entry;
}

function addBar(entry) {
  const bar = document.createElement('progress');
  bar.setAttribute('aria-label', entry.textContent);
  entry.append(bar);
  return bar;
}

function say(state, text) {
  $('status').dataset.state = state;
  $('status').textContent = text;
}
