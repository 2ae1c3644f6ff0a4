package script

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// browsers are the oldest that the page is made for: the first that have popovers.
var browsers = []api.Engine{
	{Name: api.EngineChrome, Version: "114"},
	{Name: api.EngineFirefox, Version: "125"},
	{Name: api.EngineSafari, Version: "17"},
}

// BundleForBrowsers makes one minified file of each entry, a TypeScript module or a
// style sheet, and of what it imports by relative paths. All are in files; nothing
// else is read. It returns the contents by entry.
func BundleForBrowsers(files fs.FS, entries ...string) (map[string][]byte, error) {
	result := api.Build(api.BuildOptions{
		AbsWorkingDir:     "/",
		EntryPoints:       entries,
		Outdir:            "/",
		Bundle:            true,
		Format:            api.FormatESModule,
		Platform:          api.PlatformBrowser,
		Target:            api.ES2022,
		Engines:           browsers,
		Charset:           api.CharsetUTF8,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		LegalComments:     api.LegalCommentsNone,
		LogLevel:          api.LogLevelSilent,
		TsconfigRaw:       "{}",
		Plugins:           []api.Plugin{readFrom(files)},
	})
	if len(result.Errors) > 0 {
		return nil, bundleError(result.Errors)
	}
	made := make(map[string][]byte, len(entries))
	for _, entry := range entries {
		name := strings.TrimSuffix(entry, path.Ext(entry)) + strings.Replace(path.Ext(entry), ".ts", ".js", 1)
		for _, out := range result.OutputFiles {
			if strings.HasSuffix(strings.ReplaceAll(out.Path, `\`, "/"), "/"+name) {
				made[entry] = out.Contents
			}
		}
		if made[entry] == nil {
			return nil, fmt.Errorf("nothing was made of %s", entry)
		}
	}
	return made, nil
}

// readFrom has esbuild read from files instead of the disk.
func readFrom(files fs.FS) api.Plugin {
	const namespace = "files"
	return api.Plugin{Name: namespace, Setup: func(build api.PluginBuild) {
		build.OnResolve(api.OnResolveOptions{Filter: "."}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			name := args.Path
			if args.Kind != api.ResolveEntryPoint {
				name = path.Join(path.Dir(args.Importer), name)
			}
			return api.OnResolveResult{Path: name, Namespace: namespace}, nil
		})
		build.OnLoad(api.OnLoadOptions{Filter: ".", Namespace: namespace}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
			data, err := fs.ReadFile(files, args.Path)
			if err != nil {
				return api.OnLoadResult{}, err
			}
			contents, loader := string(data), api.LoaderTS
			if path.Ext(args.Path) == ".css" {
				loader = api.LoaderCSS
			}
			return api.OnLoadResult{Contents: &contents, Loader: loader}, nil
		})
	}}
}
