import test from 'ava';
import fc from 'fast-check';
import { StopMatcher } from './stop-matcher.js';

/** The definition: the earliest stop string in the whole text, the shortest of those that begin together. */
function naive(text: string, stops: readonly string[]): { text: string; stopped: string | null } {
  const found = stops
    .filter((stop) => stop !== '' && text.includes(stop))
    .map((stop) => ({ stop, at: text.indexOf(stop) }))
    .sort((a, b) => a.at - b.at || a.stop.length - b.stop.length)[0];
  return found === undefined ? { text, stopped: null } : { text: text.slice(0, found.at), stopped: found.stop };
}

test('StopMatcher finds what a search of the whole text finds, however the text is cut', (t) => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 5 });
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 12 }), fc.array(letters, { maxLength: 4 }), (chunks, stops) => {
      const matcher = new StopMatcher(stops);
      const shown = chunks.map((chunk) => matcher.push(chunk).text).join('') + matcher.flush().text;
      t.deepEqual({ text: shown, stopped: matcher.stopped }, naive(chunks.join(''), stops));
    }),
    { numRuns: 2000 },
  );
});

test('StopMatcher shows text as soon as it can no longer become a stop string', (t) => {
  const matcher = new StopMatcher(['\n\nUser:']);
  t.is(matcher.push('Hello\n').text, 'Hello');
  t.is(matcher.push('\nU').text, '');
  t.is(matcher.push('nless').text, '\n\nUnless');
  t.is(matcher.push('\n\nUser').text, '');
  t.deepEqual(matcher.push(': hi'), { text: '', stopped: '\n\nUser:' });
  t.deepEqual(matcher.push('more'), { text: '', stopped: '\n\nUser:' });
});
