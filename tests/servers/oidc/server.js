// An authorisation server: client-credentials tokens, signed or opaque, with discovery, keys and introspection.
//
// node server.js HOST PORT KEYS: KEYS is a JSON Web Key Set with private keys; the first one signs.
const { readFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { join } = require('node:path');

const [host, port, keys, modules] = process.argv.slice(2);
const load = createRequire(join(modules, 'package.json'));
const { default: Provider } = load('oidc-provider');

const client = (client_id, more) => ({
  client_id,
  client_secret: `${client_id}-secret`,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  ...more,
});
const server = (accessTokenFormat) => ({
  scope: 'voicemail:agent voicemail:admin voicemail:privacy',
  audience: 'voicemail',
  accessTokenFormat,
  accessTokenTTL: 300,
  ...(accessTokenFormat === 'jwt' ? { jwt: { sign: { alg: 'ES256' } } } : {}),
});
const resources = { 'urn:voicemail:signed': server('jwt'), 'urn:voicemail:opaque': server('opaque') };

const provider = new Provider(`http://${host}:${port}`, {
  jwks: JSON.parse(readFileSync(keys)),
  clients: [
    client('alice'),
    client('core', { grant_types: ['client_credentials'] }),
    // The secret of the vendor's examples.
    client('script', { client_secret: 'iPdZIMR5qHAohE4wsC0La0eAopUyJDZalmwN6FPH9rjUcztZ' }),
  ],
  scopes: ['voicemail:agent', 'voicemail:admin', 'voicemail:privacy'],
  clientAuthMethods: ['client_secret_basic', 'none'],
  enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      getResourceServerInfo: (_, resource) => resources[resource],
    },
  },
});
provider.listen(Number(port), host);
