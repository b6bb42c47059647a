/** What a grammar needs to know of a model's tokens. */
export interface GrammarVocabulary {
  /** Tokens that the model can choose among. */
  readonly size: number;
  /** Tokens that are never text: control tokens, marks, ends of turns. */
  readonly marks: ReadonlySet<number>;
  /** Tokens that end the output. */
  readonly stopTokens: ReadonlySet<number>;
  bytesOf(token: number): Uint8Array;
}

/**
 * Every text token by its bytes, as a tree in depth-first order: the nodes of a subtree are neighbours, and so are their
 * tokens. Node 0 is the root.
 */
export interface TokenTrie {
  readonly vocabulary: GrammarVocabulary;
  readonly nodes: number;
  /** Byte that leads to a node. */
  readonly byte: Uint8Array;
  /** Distance from the root. */
  readonly depth: Uint16Array;
  /** First node behind a node's subtree. */
  readonly end: Int32Array;
  /** Tokens of node n are `tokens[firstToken[n]]` up to `tokens[firstToken[n + 1]]`. */
  readonly firstToken: Int32Array;
  readonly tokens: Int32Array;
  readonly longest: number;
  /** Whether a token of this byte alone exists. */
  isSpellable(byte: number): boolean;
}

const tokensPerSlice = 2048;

/** Builds the tree; yields every few thousand tokens so that the caller may let others run. */
export function* buildTokenTrie(vocabulary: GrammarVocabulary): Generator<void, TokenTrie, void> {
  const draft = new DraftTrie();
  for (let token = 0; token < vocabulary.size; token++) {
    if (token % tokensPerSlice === tokensPerSlice - 1) yield;
    if (!vocabulary.marks.has(token) && !vocabulary.stopTokens.has(token)) draft.add(token, vocabulary.bytesOf(token));
  }
  yield;
  return draft.finish(vocabulary);
}

class DraftTrie {
  readonly #bytes: number[] = [0];
  readonly #firstChild: number[] = [0];
  readonly #sibling: number[] = [0];
  /** Tokens of a node, one linked to the next; -1 ends. */
  readonly #firstToken: number[] = [-1];
  readonly #tokens: number[] = [];
  readonly #nextToken: number[] = [];
  /** Child of the root and its children by byte: most walks begin there. */
  readonly #top = new Int32Array(256);
  readonly #second = new Map<number, number>();
  readonly #single = new Uint8Array(256);
  #longest = 0;

  add(token: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (bytes.length === 1) this.#single[bytes[0]!] = 1;
    this.#longest = Math.max(this.#longest, bytes.length);
    let node = 0;
    for (const [depth, byte] of bytes.entries()) node = this.#child(node, byte, depth);
    this.#nextToken.push(this.#firstToken[node]!);
    this.#firstToken[node] = this.#tokens.push(token) - 1;
  }

  #child(node: number, byte: number, depth: number): number {
    if (depth === 0) {
      if (this.#top[byte] === 0) this.#top[byte] = this.#insert(0, byte);
      return this.#top[byte]!;
    }
    if (depth === 1) {
      const key = node * 256 + byte;
      const known = this.#second.get(key);
      if (known !== undefined) return known;
      const made = this.#insert(node, byte);
      this.#second.set(key, made);
      return made;
    }
    for (let child = this.#firstChild[node]!; child !== 0; child = this.#sibling[child]!) {
      if (this.#bytes[child] === byte) return child;
    }
    return this.#insert(node, byte);
  }

  #insert(node: number, byte: number): number {
    const child = this.#bytes.push(byte) - 1;
    this.#firstChild.push(0);
    this.#firstToken.push(-1);
    this.#sibling.push(this.#firstChild[node]!);
    this.#firstChild[node] = child;
    return child;
  }

  finish(vocabulary: GrammarVocabulary): TokenTrie {
    const nodes = this.#bytes.length;
    const byte = new Uint8Array(nodes);
    const depth = new Uint16Array(nodes);
    const end = new Int32Array(nodes);
    const firstToken = new Int32Array(nodes + 1);
    const tokens = new Int32Array(this.#tokens.length);
    let placed = 0;
    let written = 0;
    const open: number[] = [];
    const stack = [{ node: 0, depth: 0 }];
    for (let next = stack.pop(); next; next = stack.pop()) {
      // Whatever is as deep or deeper ends here.
      while (open.length > next.depth) end[open.pop()!] = placed;
      byte[placed] = this.#bytes[next.node]!;
      depth[placed] = next.depth;
      firstToken[placed] = written;
      for (let at = this.#firstToken[next.node]!; at >= 0; at = this.#nextToken[at]!)
        tokens[written++] = this.#tokens[at]!;
      open.push(placed++);
      for (let child = this.#firstChild[next.node]!; child !== 0; child = this.#sibling[child]!) {
        stack.push({ node: child, depth: next.depth + 1 });
      }
    }
    while (open.length > 0) end[open.pop()!] = placed;
    firstToken[nodes] = written;
    const single = this.#single;
    const isSpellable = (value: number): boolean => single[value] === 1;
    return { vocabulary, nodes, byte, depth, end, firstToken, tokens, longest: this.#longest, isSpellable };
  }
}
