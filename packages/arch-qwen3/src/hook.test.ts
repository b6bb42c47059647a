import { hookSuite } from '@helexa/graph/conformance';
import test from 'ava';
import architectures from './hook.js';

hookSuite(test, architectures, ['qwen3', 'qwen3_moe']);
