import { hookSuite } from '@helexa/graph/conformance';
import test from 'ava';
import architectures from './hook.js';

hookSuite(test, architectures, ['qwen3_next', 'qwen3_5', 'qwen3_5_moe']);
