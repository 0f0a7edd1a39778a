'use strict';
// An old LwM2M 1.0 device made of lwm2m-node-lib: no Content-Format anywhere, `b=U`, its own port.
// Arguments: endpoint name, server port. Prints what happens; "stop" or the end of input ends it.

const lwm2m = require('lwm2m-node-lib');
const client = lwm2m.client;
const [endpoint, port] = process.argv.slice(2);

client.init({
  client: {
    lifetime: '85671', version: '1.0', logLevel: 'FATAL', observe: { period: 1000 },
    ipProtocol: 'udp4', serverProtocol: 'udp4', port: 0, formats: []
  },
  logLevel: 'FATAL'
});

const fail = (error) => { console.log('failed ' + JSON.stringify(error)); process.exit(1); };
const create = (uri, then) => client.registry.create(uri, (error) => error ? fail(error) : then());
const set = (uri, resource, value, then) =>
  client.registry.setResource(uri, resource, value, (error) => error ? fail(error) : then());

const handle = (operation) => (objectType, objectId, resourceId, value, callback) => {
  console.log(`${operation} /${objectType}/${objectId}/${resourceId} ${value}`);
  callback(null, value);
};

create('/3/0', () => set('/3/0', '0', 'node-lib', () => set('/3/0', '14', '+00:00', () =>
  client.register('127.0.0.1', port, '', endpoint, (error, device) => {
    if (error) { fail(error); }
    client.setHandler(device.serverInfo, 'write', handle('written'));
    client.setHandler(device.serverInfo, 'execute', handle('executed'));
    client.setHandler(device.serverInfo, 'read', handle('read'));
    console.log('registered ' + device.location);
    let count = 0;
    const timer = setInterval(() => set('/3/0', '0', 'node-lib ' + ++count, () => {}), 1000);
    process.stdin.on('data', (line) => {
      if (String(line).startsWith('stop')) {
        clearInterval(timer);
        client.unregister(device, () => { console.log('unregistered'); process.exit(0); });
      }
    });
    process.stdin.on('end', () => process.exit(0));
  }))));
