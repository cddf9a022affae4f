// A tus server that keeps files in the folder of the command line and says where it listens.
import { FileStore } from '@tus/file-store';
import { Server } from '@tus/server';
import http from 'node:http';

const tus = new Server({ path: '/files', datastore: new FileStore({ directory: process.argv[2] }) });
const server = http.createServer((request, answer) => tus.handle(request, answer));
server.requestTimeout = 0;
server.listen(0, '127.0.0.1', () => console.log(`listening on ${server.address().port}`));
