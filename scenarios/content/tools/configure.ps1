Write-Output configured
