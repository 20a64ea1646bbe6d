// An authorisation server: client-credentials tokens, signed or opaque, with discovery, keys and introspection; and people who
// sign in from web pages.
//
// node server.js HOST PORT KEYS MODULES: KEYS is a JSON Web Key Set with private keys; the first one signs. A file web.json
// beside it has the addresses that the client `web` sends people back to, and who signs in: it is whoever stands there
// that a browser is taken for, without being asked. It may also have the https:// address by which everybody comes here, through
// something that speaks TLS.
const { existsSync, readFileSync } = require('node:fs');
const { createServer } = require('node:http');
const { createRequire } = require('node:module');
const { dirname, join } = require('node:path');

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

const webFile = join(dirname(keys), 'web.json');
const web = () => (existsSync(webFile) ? JSON.parse(readFileSync(webFile)) : { redirectUris: [] });
const pages = {
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  redirect_uris: web().redirectUris,
};

const issuer = web().issuer ?? `http://${host}:${port}`;
const provider = new Provider(issuer, {
  jwks: JSON.parse(readFileSync(keys)),
  clients: [
    client('alice'),
    client('core', { grant_types: ['client_credentials'] }),
    ...(pages.redirect_uris.length > 0 ? [client('web', pages)] : []),
    // The secret of the vendor's examples.
    client('script', { client_secret: 'iPdZIMR5qHAohE4wsC0La0eAopUyJDZalmwN6FPH9rjUcztZ' }),
  ],
  scopes: ['openid', 'offline_access', 'voicemail:agent', 'voicemail:admin', 'voicemail:privacy'],
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  issueRefreshToken: () => true,
  cookies: { keys: ['of the tests'] },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
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
// Whoever web.json names signs in and agrees to all that is asked for.
provider.use(async (context, next) => {
  if (!context.path.startsWith('/interaction/')) return next();
  const { prompt, params, session, grantId } = await provider.interactionDetails(context.req, context.res);
  const result = {};
  if (prompt.name === 'login') result.login = { accountId: web().person };
  else {
    const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    const { missingOIDCScope, missingResourceScopes } = prompt.details;
    if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
    for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) grant.addResourceScope(resource, scopes.join(' '));
    result.consent = { grantId: await grant.save() };
  }
  context.respond = false;
  await provider.interactionFinished(context.req, context.res, result, { mergeWithLastSubmission: prompt.name !== 'login' });
});
provider.proxy = true;
const answer = provider.callback();
const scheme = new URL(issuer).protocol.slice(0, -1);
createServer((request, response) => {
  request.headers['x-forwarded-proto'] = scheme;
  answer(request, response);
}).listen(Number(port), host);
