declare module 'cosmiconfig/dist/Explorer.js' {
  interface ExplorerResult {
    readonly config: unknown;
    readonly filepath: string;
    readonly isEmpty?: boolean;
  }
  /** The reader behind cosmiconfig's main entry, without its search for options in the current folder. */
  export class Explorer {
    constructor(options: {
      readonly moduleName: string;
      readonly searchPlaces: readonly string[];
      readonly loaders: Readonly<Record<string, (file: string, text: string) => unknown>>;
      readonly transform: (result: ExplorerResult | null) => ExplorerResult | null;
      readonly ignoreEmptySearchPlaces: boolean;
      readonly cache: boolean;
      readonly mergeImportArrays: boolean;
      readonly mergeSearchPlaces: boolean;
      readonly searchStrategy: 'none';
      readonly metaConfigFilePath: null;
    });
    load(file: string): Promise<ExplorerResult | null>;
  }
}
