import test from 'ava';
import { matchRoute, type Route } from './router.js';

const handle = () => {};
const routes: Route[] = [
  { method: 'GET', path: '/models', handle },
  { method: 'GET', path: '/models/:id/endpoint', handle },
  { method: 'POST', path: '/models/load', handle },
];

test('matchRoute decodes a path parameter as one segment', (t) => {
  t.deepEqual(matchRoute(routes, 'GET', '/models/org%2Fname/endpoint?x=1').params, { id: 'org/name' });
});

test('matchRoute answers HEAD as GET', (t) => {
  t.is(matchRoute(routes, 'HEAD', '/models').route.path, '/models');
});

test('matchRoute refuses unknown paths and methods, and a percent sign without digits', (t) => {
  for (const path of ['/', '/models/', '/models/a/b/endpoint', '/models/%/endpoint', '/models//endpoint']) {
    t.throws(() => matchRoute(routes, 'GET', path), { code: 'route_not_found' }, path);
  }
  t.throws(() => matchRoute(routes, 'DELETE', '/models/load'), { code: 'method_not_allowed' });
});
