await Crictl.start(Array(CommandLine.arguments.dropFirst()))
